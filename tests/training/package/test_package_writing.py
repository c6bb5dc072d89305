import json
import stat

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

import training.package.package_writing
from training.package.package_writing import record_scores, write_package
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import ModelManifest, load_manifest

LABELS = ("Chemical", "Disease")
ROW = {"precision": 0.5, "recall": 0.25, "f1": 0.3333, "gold": 4, "predicted": 2, "correct": 1}
ENTRY = {"model": "tiny", "scores": {"overall": ROW}}


def test_the_package_opens_in_transformers_with_the_same_logits(tiny_package, tiny_model):
    opened = AutoModelForTokenClassification.from_pretrained(tiny_package)
    assert opened.dtype == torch.float32
    assert list(opened.config.id2label.values()) == list(bio_labels(LABELS))
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        one, other = opened(ids).logits, tiny_model(ids).logits
    assert torch.allclose(one, other, atol=0.05)


def test_its_tokenizer_neither_cuts_nor_pads(tiny_package):
    tokenizer = AutoTokenizer.from_pretrained(tiny_package)
    assert len(tokenizer("fever " * 20).input_ids) == 22
    assert "name_or_path" not in json.loads((tiny_package / "tokenizer_config.json").read_text())


def test_every_file_is_listed_and_readable_by_all(tiny_package):
    files = {path.name for path in tiny_package.iterdir()}
    assert files == {*load_manifest(tiny_package).files, "ner_model.json"}
    assert {"model.safetensors", "vocab.txt", "README.md"} < files
    for path in (tiny_package, *tiny_package.iterdir()):
        assert path.stat().st_mode & stat.S_IROTH


def test_a_failed_write_leaves_nothing(tmp_path, tiny_bert, tiny_model, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(training.package.package_writing, "write_manifest", fail)
    manifest = ModelManifest("tiny", bio_labels(LABELS), {})
    with pytest.raises(OSError, match="disk full"):
        write_package(tmp_path / "models" / "new", tiny_model, tiny_bert, manifest, {})
    assert list((tmp_path / "models").iterdir()) == []


def test_an_existing_folder_is_not_overwritten(tiny_package, tiny_bert, tiny_model):
    before = load_manifest(tiny_package)
    with pytest.raises(InputError, match="exists; name a new folder"):
        write_package(tiny_package, tiny_model, tiny_bert, before, {})
    assert load_manifest(tiny_package) == before


def test_scores_join_manifest_and_card_and_leave_the_fingerprint(tiny_package):
    before = load_manifest(tiny_package)
    assert "Not scored yet." in (tiny_package / "README.md").read_text()
    record_scores(tiny_package, "corpus devel", ENTRY)
    record_scores(tiny_package, "corpus test", ENTRY)
    record_scores(tiny_package, "corpus test", {**ENTRY, "model": "again"})
    after = load_manifest(tiny_package)
    assert after.fingerprint == before.fingerprint
    assert after.scores == {"corpus devel": ENTRY, "corpus test": {**ENTRY, "model": "again"}}
    table = [
        line for line in (tiny_package / "README.md").read_text().splitlines() if "overall" in line
    ]
    assert table == [
        "| corpus devel | tiny | overall | 0.5000 | 0.2500 | 0.3333 | 4 | 2 |",
        "| corpus test | again | overall | 0.5000 | 0.2500 | 0.3333 | 4 | 2 |",
    ]


def test_a_card_without_a_place_for_scores_is_left_alone(tiny_package):
    manifest = load_manifest(tiny_package)
    with pytest.raises(ModelPackageError, match="no place for scores"):
        training.package.package_writing.replace_scores("# a card of somebody's own", manifest)
