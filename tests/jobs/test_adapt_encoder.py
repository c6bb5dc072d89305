"""The job on a tiny encoder: it learns the text, and what it writes is a base model."""

import gzip
import json

import pytest
from safetensors.torch import load_file, save_file

from jobs import adapt_encoder, fine_tune_ner
from training.encoders.masked_training import MaskedTraining
from udfs.package.encoder_config import EncoderConfig

pytestmark = pytest.mark.whole

TEXT = "The severe headache of the patients caused fever. No aspirin, no ibuprofen zyxoprim."
TINY = ["--max-wordpieces", "32", "--learning-rate", "0.01", "--threads", "1"]


@pytest.fixture
def place(tmp_path, monkeypatch, load_tiny):
    tiny = load_tiny("tiny_bert")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    tiny.write_tiny_bert(tmp_path / "base")
    tiny.write_tiny_bc5cdr(tmp_path / "data")
    records = [json.dumps({"text": TEXT}) for _ in range(25)]
    (tmp_path / "notes.jsonl").write_text("\n".join(records))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.txt").write_text(TEXT)
    return tmp_path


def adapt(*more):
    return adapt_encoder.main(["--base-model", "base", *TINY, *more])


def test_it_learns_the_text_and_fine_tuning_takes_its_folder(place, capfd):
    text = ["--text", "notes.jsonl", "--text", "more"]
    assert adapt(*text, "--output", "new", "--epochs", "30") == 0
    said = capfd.readouterr().out
    losses = [
        float(line.split("loss ")[1].split(",")[0])
        for line in said.splitlines()
        if "held-out" in line
    ]
    assert len(losses) == 31
    assert losses[-1] < losses[0] / 2
    assert "with its own head" in said
    assert adapt(*text, "--output", "again", "--epochs", "30") == 0
    new, again = (load_file(place / name / "model.safetensors") for name in ("new", "again"))
    assert all((new[name] == again[name]).all() for name in new)

    tuned = ["--corpus", "bc5cdr:data", "--overlap", "8", *TINY, "--epochs", "1"]
    assert fine_tune_ner.main([*tuned, "--base-model", "new", "--output", "model"]) == 0
    kept = [path for path in place.rglob("*") if path.is_file() and "data" not in path.parts]
    kept = [path for path in kept if path.name not in ("notes.jsonl", "one.txt")]
    assert not [path for path in kept if b"zyxoprim" in path.read_bytes().lower()]
    output = capfd.readouterr()
    assert "zyxoprim" not in (said + output.out + output.err).lower()


@pytest.mark.parametrize("killed_at", [3, 9])
def test_it_goes_on_after_a_kill_to_the_same_weights(place, monkeypatch, capsys, killed_at):
    shape = ["--text", "notes.jsonl", "--epochs", "2", "--batch-wordpieces", "100"]
    shape += ["--checkpoint-steps", "2"]
    assert adapt(*shape, "--output", "unbroken") == 0
    step, steps = MaskedTraining.step, []

    def killed(training, batch, done):
        if len(steps) == killed_at:
            raise KeyboardInterrupt
        steps.append(done)
        return step(training, batch, done)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MaskedTraining, "step", killed)
        adapt(*shape, "--output", "new")
    assert not (place / "new").exists()
    assert adapt(*shape, "--output", "new") == 2
    assert "was not finished" in capsys.readouterr().err
    assert adapt(*shape, "--output", "new", "--resume") == 0
    for name in ("model.safetensors", "config.json"):
        assert (place / "new" / name).read_bytes() == (place / "unbroken" / name).read_bytes()
    assert not (place / ".new.training").exists()


def test_an_encoder_without_a_head_gets_a_new_one_and_is_told(place, capsys):
    weights = load_file(place / "base" / "model.safetensors")
    bare = {name: tensor for name, tensor in weights.items() if not name.startswith("cls.")}
    save_file(bare, place / "base" / "model.safetensors", metadata={"format": "pt"})
    assert adapt("--text", "more", "--output", "new") == 0
    assert "head that guesses words was new" in capsys.readouterr().out


@pytest.mark.parametrize("family", ["albert", "bert", "distilbert", "roberta"])
def test_a_new_encoder_of_each_family_learns_and_is_fine_tuned(place, capsys, family):
    with gzip.open(place / "sentences.txt.gz", "wt") as file:
        file.write("\n".join([TEXT] * 25))
    shape = ["--from-scratch", family, "--layers", "3", "--hidden-size", "16", "--heads", "2"]
    shape += ["--embedding-size", "8", "--text", "sentences.txt.gz", "--each-line"]
    shape += ["--batch-wordpieces", "100", "--epochs", "12"]
    assert adapt(*shape, "--output", "new") == 0
    said = capsys.readouterr().out
    losses = [float(part.split(",")[0]) for part in said.split("held-out text: loss ")[1:]]
    assert losses[-1] < losses[0] - 1  # nats
    assert "head that guesses words was new" in said
    made = EncoderConfig.from_file(place / "new" / "config.json")
    assert (made.model_type, made.num_hidden_layers, made.hidden_size) == (family, 3, 16)
    assert made.longest_piece == 32
    assert made.embedding_size == (8 if family == "albert" else 16)
    tuned = ["--corpus", "bc5cdr:data", "--overlap", "8", *TINY, "--epochs", "1"]
    assert fine_tune_ner.main([*tuned, "--base-model", "new", "--output", "model"]) == 0


def test_wrong_input_is_refused_before_anything_is_written(place, capsys):
    (place / "empty.txt").write_text(" ")
    for arguments, rule in (
        (["--text", "absent.txt"], "must be a .txt or .jsonl file"),
        (["--text", "empty.txt"], "there is no text"),
        (["--text", "notes.jsonl", "--text-key", "body"], "body must be a string"),
        (["--text", "more", "--hidden-share", "0"], "hidden_share 0.0 must be"),
        (["--text", "more", "--epochs", "0"], "epochs 0 must be"),
        (["--text", "more", "--max-wordpieces", "99"], "must not exceed the base model's 64"),
        (["--text", "more", "--layers", "2"], "--layers shapes a new encoder: give --from-scratch"),
        (["--text", "more", "--from-scratch", "gpt"], "family 'gpt' must be one of albert, bert"),
        (["--text", "more", "--from-scratch", "bert", "--heads", "3"], "must be a multiple of"),
        (["--text", "more", "--from-scratch", "bert", "--layers", "0"], "layers 0 must be at"),
    ):
        assert adapt("--output", "new", *arguments) == 2
        assert rule in capsys.readouterr().err
    assert not (place / "new").exists()
