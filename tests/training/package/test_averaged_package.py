import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification

from training.corpora.documents import digest_documents
from training.corpora.form_table import read_corpus
from training.corpora.seen_parts import refuse_seen_part
from training.fine_tuning.epochs import fine_tune
from training.package.averaged_package import write_averaged
from training.package.package_writing import record_scores, write_package
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.label_scheme import VITERBI, bio_labels
from udfs.errors import InputError, ModelPackageError
from udfs.network.encoder import read_tensors
from udfs.package.model_package import ModelManifest, load_manifest, sha256_of, write_manifest

LABELS = ["Chemical", "Disease"]
COMMAND = "python jobs/average_models.py …"


@pytest.fixture(scope="session")
def other_model(tiny_bert, tiny_documents, tiny_recipe):
    return fine_tune(tiny_bert, tiny_documents, LABELS, replace(tiny_recipe, seed=2)).model


@pytest.fixture
def pair(tmp_path, tiny_package, tiny_bert, other_model):
    manifest = ModelManifest("other", bio_labels(LABELS), {}, max_wordpieces=32, overlap=8)
    facts = {"Command": "`train --seed 2`", "Training data": "two documents"}
    write_package(
        tmp_path / "models" / "other", other_model, tiny_bert, manifest, facts, ["bc5cdr"]
    )
    return [tiny_package, tmp_path / "models" / "other"]


def edit(folder, **values):
    write_manifest(folder, replace(load_manifest(folder), **values))


def test_every_tensor_is_the_mean_and_keeps_its_type(pair, tmp_path):
    write_averaged(pair, tmp_path / "mean", COMMAND)
    one, two = (read_tensors(folder / "model.safetensors") for folder in pair)
    mean = read_tensors(tmp_path / "mean" / "model.safetensors")
    assert mean.keys() == one.keys()
    for name, tensor in mean.items():
        assert tensor.dtype == torch.float16
        expected = (one[name].double() + two[name].double()) / 2
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-3, atol=1e-7)
    assert any(not torch.equal(one[name], mean[name]) for name in mean)


def test_the_bias_of_the_tag_o_alone_is_moved(pair, tmp_path):
    write_averaged(pair, tmp_path / "mean", COMMAND)
    written = write_averaged(pair, tmp_path / "moved", COMMAND, outside_bias=1.5)
    mean, moved = (read_tensors(tmp_path / n / "model.safetensors") for n in ("mean", "moved"))
    differing = [name for name in mean if not torch.equal(mean[name], moved[name])]
    assert differing == ["classifier.bias"]
    by = moved["classifier.bias"].float() - mean["classifier.bias"].float()
    expected = [1.5 if label == "O" else 0.0 for label in written.labels]
    torch.testing.assert_close(by, torch.tensor(expected), rtol=0, atol=2e-3)
    assert "| Bias of O | +1.5 logits |" in (tmp_path / "moved" / "README.md").read_text()
    with pytest.raises(InputError, match="must be a number of logits, not nan"):
        write_averaged(pair, tmp_path / "no", COMMAND, outside_bias=float("nan"))


def test_the_mean_is_a_package_of_its_own_and_opens_in_transformers(pair, tmp_path):
    for folder in pair:
        edit(folder, decoding=VITERBI, training_data_digest="d" * 64)
    record_scores(pair[0], "bc5cdr test", {"model": "tiny", "scores": {}})
    written = write_averaged(pair, tmp_path / "mean", COMMAND)
    assert load_manifest(tmp_path / "mean") == written
    assert (written.name, written.decoding, written.scores) == ("mean", VITERBI, {})
    assert written.training_data_digest == "d" * 64
    prints = {load_manifest(folder).fingerprint for folder in pair}
    assert {(e["role"], e["fingerprint"]) for e in written.learnt_from} == {
        ("averaged", fingerprint) for fingerprint in prints
    }
    assert written.fingerprint not in prints
    TokenClassifier.load(tmp_path / "mean", "cpu", "float32").predict(["Aspirin caused it."])
    AutoModelForTokenClassification.from_pretrained(tmp_path / "mean")


def test_the_card_says_how_each_was_made(pair, tmp_path):
    write_averaged(pair, tmp_path / "mean", COMMAND, name="both")
    card = (tmp_path / "mean" / "README.md").read_text()
    assert "# both\n" in card
    assert "| Weights | the mean of those of 2 models |" in card
    assert f"| Command | `{COMMAND}` |" in card
    for folder, name, command in zip(
        pair, ("tiny", "other"), ("train", "train --seed 2"), strict=True
    ):
        of = load_manifest(folder).fingerprint[:8]
        assert f"| {name}, {of}: Command | `{command}` |" in card
    assert "other, " in card and ": Training data | two documents |" in card
    assert "datasets:\n- bc5cdr\n" in card
    with pytest.raises(InputError, match="exists"):
        write_averaged(pair, pair[0], COMMAND)


def test_what_one_of_them_was_trained_on_counts_as_seen(pair, tmp_path, tiny_bc5cdr):
    corpus = f"bc5cdr:{tiny_bc5cdr}"
    edit(pair[1], training_data_digest=digest_documents(read_corpus(corpus, ["devel"])))
    written = write_averaged(pair, tmp_path / "mean", COMMAND)
    assert written.training_data_digest == ""
    with pytest.raises(InputError, match="was trained on the devel part"):
        refuse_seen_part(written, corpus, "devel")


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (
            {"decoding": VITERBI},
            "differs from .* in decoding: only packages that began as the same",
        ),
        ({"max_wordpieces": 30, "overlap": 4}, "in longest input, overlap"),
        ({"labels": ("O", "B-A", "I-A", "B-B", "I-B")}, "in tags"),
    ],
)
def test_packages_that_differ_are_refused(pair, tmp_path, values, rule):
    edit(pair[1], **values)
    with pytest.raises(InputError, match=rule):
        write_averaged(pair, tmp_path / "mean", COMMAND)
    assert not (tmp_path / "mean").exists()


def test_other_networks_and_single_models_are_refused(pair, tmp_path):
    config = json.loads((pair[1] / "config.json").read_text())
    changed = json.dumps({**config, "num_attention_heads": 1})
    (pair[1] / "config.json").write_text(changed)
    with pytest.raises(ModelPackageError, match=r"config\.json"):
        write_averaged(pair, tmp_path / "mean", COMMAND)
    files = load_files(pair[1]) | {"config.json": sha256_of(pair[1] / "config.json")}
    rewrite_files(pair[1], files)
    with pytest.raises(InputError, match="in network"):
        write_averaged(pair, tmp_path / "mean", COMMAND)
    with pytest.raises(InputError, match="two packages or more"):
        write_averaged(pair[:1], tmp_path / "mean", COMMAND)
    with pytest.raises(InputError, match="name it once"):
        write_averaged([pair[0], pair[0]], tmp_path / "mean", COMMAND)


def test_a_tensor_that_one_of_them_lacks_is_an_error(pair, tmp_path):
    tensors = read_tensors(pair[1] / "model.safetensors")
    del tensors["classifier.bias"]
    save_file(tensors, pair[1] / "model.safetensors")
    digest = sha256_of(pair[1] / "model.safetensors")
    rewrite_files(pair[1], load_files(pair[1]) | {"model.safetensors": digest})
    with pytest.raises(ModelPackageError, match=r"the first is classifier\.bias"):
        write_averaged(pair, tmp_path / "mean", COMMAND)
    assert not (tmp_path / "mean").exists()


def load_files(folder):
    return json.loads((folder / "ner_model.json").read_text())["files"]


def rewrite_files(folder, files):
    manifest = json.loads((folder / "ner_model.json").read_text())
    (folder / "ner_model.json").write_text(json.dumps({**manifest, "files": files}))
