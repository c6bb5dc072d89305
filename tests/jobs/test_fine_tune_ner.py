"""Both training jobs, from command line to card, on a tiny encoder and an invented corpus."""

import importlib.util
import json
from pathlib import Path

import pytest

from jobs import fine_tune_ner, score_model
from udfs.model_package import load_manifest

TINY = ["--max-wordpieces", "32", "--overlap", "8", "--learning-rate", "0.01", "--threads", "1"]


@pytest.fixture(scope="module")
def tiny():
    path = Path(__file__).parents[1] / "training" / "tiny_bert.py"
    spec = importlib.util.spec_from_file_location("tiny_bert", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(tmp_path, monkeypatch, tiny):
    """A current folder of the test's own, with a base model and a corpus."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    tiny.write_tiny_bert(tmp_path / "base")
    tiny.write_tiny_bc5cdr(tmp_path / "data")
    return tmp_path


def train(*more):
    return fine_tune_ner.main(["--corpus", "bc5cdr:data", "--base-model", "base", *TINY, *more])


def test_training_scoring_and_the_card(place, capfd):
    assert train("--output", "models/one", "--epochs", "20") == 0
    (place / "scores.json").write_text("")
    scored = ["--model", "models/one", "--corpus", "bc5cdr:data", "--threads", "1"]
    assert score_model.main([*scored, "--json", "scores.json", "--write-card"]) == 0

    manifest = load_manifest(place / "models" / "one")
    assert manifest.scores["bc5cdr test"]["scores"]["overall"]["f1"] == 1.0
    assert json.loads((place / "scores.json").read_text()) == manifest.scores
    card = (place / "models" / "one" / "README.md").read_text()
    assert "python jobs/fine_tune_ner.py --corpus bc5cdr:data" in card
    assert "| bc5cdr test | one | overall | 1.0000 | 1.0000 | 1.0000 | 7 | 7 |" in card
    output = capfd.readouterr()
    assert "epoch 20" in output.out
    assert manifest.fingerprint in output.out.replace("\n", "")

    # A word of the corpus that no vocabulary holds stands nowhere outside the corpus.
    kept = [path for path in place.rglob("*") if path.is_file() and "data" not in path.parts]
    assert len(kept) > 10
    assert not [path for path in kept if b"zyxoprim" in path.read_bytes().lower()]
    assert "zyxoprim" not in (output.out + output.err).lower()


def test_wrong_input_is_refused_before_anything_is_written(place, capsys):
    (place / "there").mkdir()
    for arguments, rule in (
        (["--output", "there"], "exists; name a new folder"),
        (["--output", "new", "--train-parts", "train,devel"], "devel is trained on"),
        (["--output", "new", "--train-parts", "all"], "train, devel, test"),
        (["--output", "new", "--dropout", "2"], "dropout 2.0 must be"),
        (["--output", "new", "--threads", "0"], "threads 0 must be"),
        (["--output", "new", "--device", "cuda:99"], "cuda:99"),
        (["--output", "new", "--corpus", "bc5cdr:absent"], "absent is not a folder"),
        (["--output", "new", "--base-model", "absent"], "lacks config.json"),
    ):
        assert train(*arguments) == 2
        assert rule in capsys.readouterr().err
    assert not (place / "new").exists()
    assert not (place / "build").exists()


def test_scoring_refuses_what_is_no_package(place, capsys):
    assert score_model.main(["--model", "base", "--corpus", "bc5cdr:data"]) == 2
    assert "score_model: " in capsys.readouterr().err
    assert score_model.main(["--model", "base", "--corpus", "bc5cdr:absent"]) == 2
    assert "absent is not a folder" in capsys.readouterr().err


def test_unknown_flags_exit_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        fine_tune_ner.main(["--output", "new", "--epoch", "3"])
    assert caught.value.code == 2
    assert "--epoch" in capsys.readouterr().err
