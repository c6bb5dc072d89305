"""Encoders of every family serve as base models, and become packages that the engine runs."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

from training.base_models import check_base_model, depths, open_base_model
from training.corpora import read_corpus
from training.fine_tuning import fine_tune
from training.model_package import find_base_model, write_package
from training.recipe import Recipe
from training.scoring import predict_documents, score_documents
from udfs.errors import InputError, ModelPackageError
from udfs.label_scheme import bio_labels
from udfs.model_package import ModelManifest
from udfs.token_classifier import TokenClassifier

LABELS = ["Chemical", "Disease"]
TAGS = bio_labels(LABELS)
RECIPE = Recipe(
    epochs=25, learning_rate=0.01, max_wordpieces=40, overlap=8, dropout=0.0, layer_decay=0.9,
    label_all_pieces=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny():
    path = Path(__file__).with_name("tiny_families.py")
    spec = importlib.util.spec_from_file_location("tiny_families", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    model = fine_tune(base, documents, LABELS, RECIPE)
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


def test_wrong_base_models_are_refused(folders, tiny_bert, tmp_path):
    with pytest.raises(InputError, match=r"lacks config.json, model.safetensors, tokenizer.json"):
        open_base_model(tmp_path, TAGS, 32, 0.1)
    with pytest.raises(InputError, match="100 must not exceed the base model's 64 positions"):
        open_base_model(tiny_bert, TAGS, 100, 0.1)
    with pytest.raises(InputError, match="41 must not exceed the base model's 40 positions"):
        open_base_model(folders["roberta"], TAGS, 41, 0.1)
    other = Path(shutil.copytree(tiny_bert, tmp_path / "other"))
    (other / "config.json").write_text(json.dumps({"model_type": "electra"}))
    with pytest.raises(ModelPackageError, match="'electra', this engine runs 'albert', 'bert'"):
        check_base_model(other)
