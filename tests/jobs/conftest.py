"""A tiny model that knows two drugs and two diseases, and an invented corpus in three parts."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

CANARY = "zyxoprim"  # stands in documents and notes, and may stand nowhere else
PHRASES = (
    (f"aspirin caused severe headache in patients of {CANARY}.", ("aspirin", "severe headache")),
    ("ibuprofen and aspirin, no fever.", ("ibuprofen", "aspirin", "fever")),
    ("severe headache, the patients study aspirin.", ("severe headache", "aspirin")),
    # Gold that the model finds otherwise, so that not all is right.
    ("fever and headache in a study.", ("fever and headache",)),
)
DRUGS = ("aspirin", "ibuprofen")


@dataclass(frozen=True)
class TinyModels:
    """`good` has learnt the phrases, `poor` has learnt next to nothing of them."""

    good: Path
    poor: Path
    corpus: str
    notes: Path


def write_part(path, prefix, number):
    records = []
    for place in range(number):
        text, mentions = PHRASES[place % len(PHRASES)]
        text = f"note {place} {text}"
        entities = [
            {
                "start": text.index(words),
                "end": text.index(words) + len(words),
                "label": "Chemical" if words in DRUGS else "Disease",
            }
            for words in mentions
        ]
        records.append({"doc_id": f"{prefix}{place}", "text": text, "entities": entities})
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory, load_tiny):
    import torch

    from training.corpora.documents import digest_documents
    from training.corpora.form_table import read_corpus
    from training.fine_tuning.epochs import fine_tune
    from training.package.package_writing import write_package
    from training.recipes.recipe import Recipe
    from udfs.decoding.label_scheme import bio_labels
    from udfs.package.model_package import ModelManifest

    tiny = load_tiny("tiny_bert")
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    base = tiny.write_tiny_bert(place / "base")
    (place / "data").mkdir()
    for part, number in (("train", 4), ("devel", 32), ("test", 28)):
        write_part(place / "data" / f"{part}.jsonl", part, number)
    corpus = f"span-json:{place / 'data'}"
    documents = read_corpus(corpus, ["train"])
    labels = ["Chemical", "Disease"]
    for name, epochs in (("good", 25), ("poor", 2)):
        recipe = Recipe(epochs=epochs, learning_rate=0.01, max_wordpieces=32, overlap=8)
        model = fine_tune(base, documents[:3], labels, recipe).model
        digest = digest_documents(documents)
        manifest = ModelManifest(name, bio_labels(labels), {}, 32, 8, training_data_digest=digest)
        write_package(place / name, model, base, manifest, {"Command": "`train`"})
    notes = place / "notes.jsonl"
    texts = [f"Note {n}: {text}" for n in range(3) for text, _ in PHRASES]
    notes.write_text("".join(json.dumps({"note_id": "n", "text": t}) + "\n" for t in texts))
    return TinyModels(place / "good", place / "poor", corpus, notes)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A current folder of the test's own, with no MLflow but its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_with_canary(folder):
    """Files below a folder that hold text of documents or notes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if CANARY.encode() in path.read_bytes().lower()]


@pytest.fixture
def canary_files():
    return files_with_canary
