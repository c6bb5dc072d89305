from pathlib import Path

import pytest

from training.comparison import model_trial
from training.comparison.model_trial import try_apart
from training.corpora.form_table import read_corpus
from training.evaluation.strict_scores import predict_documents
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.errors import InputError, PredictionError

pytestmark = pytest.mark.whole


def die(*_):
    import os

    os._exit(1)


def test_a_trial_finds_what_the_production_path_finds_and_measures_itself_alone(
    tiny_package, tiny_bc5cdr
):
    ballast = bytearray(b"x" * (900 * 2**20))  # this process is larger than any tiny model's
    trial = try_apart(tiny_package, f"bc5cdr:{tiny_bc5cdr}", "train", passes=2)
    assert 50 < trial.peak_mib < len(ballast) / 2**20
    documents = read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["train"])
    classifier = TokenClassifier.load(tiny_package, device="cpu")
    assert trial.spans == predict_documents(documents, classifier)
    assert any(trial.spans)
    assert trial.characters == sum(len(document.text) for document in documents)
    assert trial.units > len(documents)
    assert trial.parameters == sum(t.numel() for t in weights_of(tiny_package))
    assert trial.documents_per_second == pytest.approx(len(documents) / trial.seconds)


def weights_of(package: Path):
    from safetensors.torch import load_file

    tensors = load_file(package / "model.safetensors")
    return [tensor for name, tensor in tensors.items() if "pooler" not in name]


def test_what_goes_wrong_in_the_process_is_told_here(tiny_package, tiny_bc5cdr, monkeypatch):
    with pytest.raises(InputError, match="no model package at"):
        try_apart(tiny_package / "absent", f"bc5cdr:{tiny_bc5cdr}", "train")
    monkeypatch.setattr(model_trial, "try_model", die)
    with pytest.raises(PredictionError, match="died: memory may be short"):
        try_apart(tiny_package, f"bc5cdr:{tiny_bc5cdr}", "train")
