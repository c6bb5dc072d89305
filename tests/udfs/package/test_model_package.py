import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import (
    CONFIG,
    FORMAT_VERSION,
    PICKLES,
    TOKENIZER,
    WEIGHTS,
    ModelManifest,
    load_manifest,
    sha256_of,
    write_manifest,
)

LABELS = ("O", "B-Drug", "I-Drug")
CONTENTS = {
    WEIGHTS: b"weights " * 100,
    CONFIG: b"{}",
    TOKENIZER: b"[]",
    "vocab.txt": b"secret word",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete package as far as this module looks: the contents are not those of a model."""
    made = tmp_path / "my model"
    made.mkdir()
    for name, content in CONTENTS.items():
        (made / name).write_bytes(content)
    (made / "README.md").write_text("a card, in no list")
    files = {name: sha256_of(made / name) for name in CONTENTS}
    scores = {"test": {"f1": 0.85}}
    write_manifest(made, ModelManifest("ner", LABELS, files, base_model="b", scores=scores))
    return made


def refused(folder: Path, *words: str) -> str:
    with pytest.raises(ModelPackageError) as caught:
        load_manifest(folder)
    assert isinstance(caught.value, InputError)
    assert caught.value.__cause__ is None
    message = str(caught.value)
    for word in (*words, str(folder)):
        assert word in message
    assert "secret" not in message
    return message


def test_what_was_written_is_read(folder):
    manifest = load_manifest(folder)
    assert manifest.name == "ner"
    assert manifest.labels == LABELS
    assert (manifest.max_wordpieces, manifest.overlap) == (256, 64)
    assert manifest.scores == {"test": {"f1": 0.85}}
    assert set(manifest.files) == set(CONTENTS)
    before = (folder / "ner_model.json").read_bytes()
    write_manifest(folder, manifest)
    assert (folder / "ner_model.json").read_bytes() == before
    assert load_manifest(folder) == manifest


def test_a_missing_folder_or_manifest(folder, tmp_path):
    refused(tmp_path / "nowhere", "no model package at", "--model names a folder")
    refused(folder / WEIGHTS, "no model package at")
    (folder / "ner_model.json").unlink()
    refused(folder, "has no ner_model.json", "jobs/import_model.py write packages")


@pytest.mark.parametrize("name", list(CONTENTS))
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    refused(folder, f"{name} is missing", "copy the whole folder again")
    (folder / name).mkdir()
    refused(folder, f"{name} is missing")


@pytest.mark.parametrize("name", list(CONTENTS))
def test_a_flipped_byte(folder, name):
    content = bytearray(CONTENTS[name])
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    refused(folder, name, "sha256 differs", "copy the whole folder again")


@pytest.mark.parametrize("length", [0, 400, 799])
def test_cut_off_weights(folder, length):
    (folder / WEIGHTS).write_bytes(CONTENTS[WEIGHTS][:length])
    refused(folder, f"{WEIGHTS} ({length} bytes)", "altered or cut off")


@pytest.mark.parametrize("ending", [*PICKLES, ".BIN", ".Pkl"])
def test_a_pickle_beside_the_weights(folder, ending):
    (folder / f"model{ending}").write_bytes(b"cos\nsystem\n")
    refused(folder, f"holds model{ending}", "can run code", f"convert the weights to {WEIGHTS}")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "./x", "..", ".", "", "a/", "a\0b", "//"]
)
def test_paths_that_leave_the_folder(folder, edit_manifest, name):
    (folder.parent / "x").write_text("outside")
    files = {**load_manifest(folder).files, name: sha256_of(folder.parent / "x")}
    edit_manifest(folder, files=files)
    refused(folder, "is missing" if name == "a\0b" else "not a plain file name")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"threshold": 0.5, "Labels": []}, "unknown keys ['Labels', 'threshold']"),
        ({"format_version": 2}, f"format_version is 2, this release reads {FORMAT_VERSION}"),
        ({"format_version": "1"}, "format_version is '1'"),
        ({"format_version": None}, "format_version is None"),
        ({"name": ...}, "'name' is missing or not a str"),
        ({"name": 5}, "'name' is missing or not a str"),
        ({"labels": ...}, "'labels' is missing or not a list"),
        ({"labels": "O"}, "'labels' is missing or not a list"),
        ({"labels": []}, "tag O is missing"),
        ({"labels": ["O", "B-A", "B-A"]}, "stands twice"),
        ({"labels": ["O", "S-A"]}, "'S-A' is not"),
        ({"labels": ["O", 5]}, ""),
        ({"labels": ["O", None]}, ""),
        ({"labels": ["O", ["B-"]]}, ""),
        ({"files": ...}, "'files' is missing or not a dict"),
        ({"files": [WEIGHTS]}, "'files' is missing or not a dict"),
        ({"files": {}}, f"'files' does not list {WEIGHTS}, {CONFIG}, {TOKENIZER}"),
        ({"max_wordpieces": "256"}, "'max_wordpieces' is '256', not a whole number"),
        ({"max_wordpieces": True}, "not a whole number"),
        ({"max_wordpieces": 66}, "overlap 64 does not fit max_wordpieces 66"),
        ({"max_wordpieces": 2, "overlap": 0}, "overlap 0 does not fit max_wordpieces 2"),
        ({"overlap": -1}, "overlap -1 does not fit"),
        ({"overlap": 1.5}, "not a whole number"),
        ({"overlap": None}, "not a whole number"),
    ],
)
def test_a_manifest_that_is_not_one(folder, edit_manifest, changes, why):
    edit_manifest(folder, **changes)
    refused(folder, why, "ner_model.json", "must be a manifest that clinspan wrote")


def test_the_smallest_and_the_tightest_manifest_are_read(folder, edit_manifest):
    gone = dict.fromkeys(
        ["max_wordpieces", "overlap", "scores", "base_model", "format_version"], ...
    )
    edit_manifest(folder, **gone, training_data_digest=...)
    assert load_manifest(folder).max_wordpieces == 256
    edit_manifest(folder, max_wordpieces=67, overlap=64)
    assert load_manifest(folder).max_wordpieces == 67


@pytest.mark.parametrize(
    "content", ["", "{", "secret", "[" * 100_000, "{'name': 1}", b"\xff\xfe\x00"]
)
def test_a_manifest_that_is_no_json(folder, content):
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "ner_model.json").write_bytes(raw)
    refused(folder, "not readable JSON", "copy the package again")


@pytest.mark.parametrize("content", ["null", "[]", "5", '"x"', "true"])
def test_a_manifest_that_is_no_object(folder, content):
    (folder / "ner_model.json").write_text(content)
    refused(folder, "the top level is not an object")


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, TOKENIZER])
@pytest.mark.parametrize("value", [None, 5, "", "0" * 64])
def test_a_hash_that_is_none(folder, edit_manifest, name, value):
    edit_manifest(folder, files={**load_manifest(folder).files, name: value})
    refused(folder, name, "sha256 differs")


BASE = ModelManifest("ner", LABELS, {WEIGHTS: "w", CONFIG: "c", TOKENIZER: "t", "vocab.txt": "v"})


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ("O", "I-Drug", "B-Drug")},
        {"max_wordpieces": 255},
        {"overlap": 63},
        {"files": {**BASE.files, WEIGHTS: "x"}},
        {"files": {**BASE.files, CONFIG: "x"}},
        {"files": {**BASE.files, TOKENIZER: "x"}},
        {"format_version": 2},
        {"label_scheme": "plain"},
        {"decoding": "viterbi"},
    ],
)
def test_the_fingerprint_changes_with_what_changes_predictions(change):
    assert replace(BASE, **change).fingerprint != BASE.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"base_model": "other"},
        {"training_data_digest": "other"},
        {"scores": {"f1": 1}},
        {"files": {**BASE.files, "vocab.txt": "x"}},
        {"files": dict(reversed(BASE.files.items()))},
    ],
)
def test_the_fingerprint_stays_with_what_only_informs(change):
    assert replace(BASE, **change).fingerprint == BASE.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", BASE.fingerprint)


def test_the_fingerprint_of_a_bio_package_is_that_of_earlier_releases():
    files = dict.fromkeys((WEIGHTS, CONFIG, TOKENIZER), "0" * 64)
    assert ModelManifest("n", ("O", "B-A", "I-A"), files).fingerprint == (
        "1c76c7455cbe9457039cc077f3f6268bc52417a6565216834911498a70d22396"
    )


def test_the_fingerprint_survives_writing_and_reading(folder):
    manifest = load_manifest(folder)
    raw = json.loads((folder / "ner_model.json").read_text())
    (folder / "ner_model.json").write_text(json.dumps(dict(reversed(raw.items()))))
    assert load_manifest(folder).fingerprint == manifest.fingerprint
