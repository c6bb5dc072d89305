"""Models of others become packages that find what transformers finds, or nothing is written."""

import json
import pickle
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast, pipeline

from jobs import export_model, import_model
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.network.encoder import Encoder
from udfs.package.model_package import load_manifest

BIO = ["O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease"]
TEXT = "Aspirin 81 mg daily for severe headache (no fever).\r\nNo rash 😀, ibuprofen since 12/3."
# What in the folder of a stranger would run code, if anything of it were run.
HOSTILE = {
    "auto_map": {"AutoModelForTokenClassification": "evil.Model", "AutoConfig": "evil.Config"},
    "_attn_implementation": "somebody/kernel",
}


@pytest.fixture(scope="module")
def tiny(load_tiny):
    return load_tiny("tiny_families")


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """A token classifier of each family. Never write to them."""
    place = tmp_path_factory.mktemp("families")
    return {name: tiny.write_tiny_family(place / name, name, BIO, 80) for name in tiny.FAMILIES}


@pytest.fixture
def folder(folders, tmp_path):
    """One that a test may damage."""
    return Path(shutil.copytree(folders["distilbert"], tmp_path / "theirs"))


def run(source, output, *more):
    return import_model.main(["--model", str(source), "--output", str(output), *more])


def edit(folder, **changes):
    path = folder / "config.json"
    raw = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in raw.items() if value is not ...}))


def reference_tags(folder, text):
    """(begin of the first character, tag) of each piece, by transformers alone."""
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokenizer._tokenizer.no_truncation()
    tokenizer._tokenizer.no_padding()
    coded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    offsets = coded["offset_mapping"][0, 1:-1].tolist()
    with torch.inference_mode():
        ids, mask = coded["input_ids"], coded["attention_mask"]
        logits = model(input_ids=ids, attention_mask=mask).logits[0, 1:-1]
    return offsets, logits.softmax(-1).numpy()


@pytest.mark.parametrize("family", ["albert", "bert", "distilbert", "roberta"])
def test_a_package_of_each_family_finds_what_transformers_finds(folders, family, tmp_path, capsys):
    source, output = folders[family], tmp_path / "models" / "theirs"
    assert run(source, output) == 0
    manifest = load_manifest(output)
    said = capsys.readouterr().out
    assert f"family       {family}, " in said and "Chemical, Disease (bio tags, argmax)" in said
    assert manifest.fingerprint in said and f"--model {output}" in said
    assert (manifest.max_wordpieces, manifest.overlap, manifest.base_model) == (80, 20, family)

    classifier = TokenClassifier.load(output, "cpu", "float32")
    offsets, chances = reference_tags(source, TEXT)
    tags = [BIO[column] for column in chances.argmax(-1)]
    assert len(set(tags)) > 2
    [window] = classifier._tokenizer.encode([TEXT])
    assert len(offsets) == len(window.ids)
    expected, before = [], "O"
    for first, begin, end in zip(
        window.first_pieces, window.word_begins, window.word_ends, strict=True
    ):
        tag = tags[first]
        label = tag[2:]
        if tag != "O":
            columns = [i for i, name in enumerate(BIO) if name[2:] == label]
            score = chances[first, columns].sum()
            if tag[0] == "I" and before[2:] == label:
                expected[-1][1:] = [end, label, [*expected[-1][3], score]]
            else:
                expected.append([begin, end, label, [score]])
        before = tag
    [found] = classifier.predict([TEXT])
    assert [[s.begin, s.end, s.label] for s in found.spans] == [row[:3] for row in expected]
    scores = [np.mean(row[3]) for row in expected]
    assert [s.score for s in found.spans] == pytest.approx(scores, abs=1e-4)

    # The package opens in transformers by itself, with its tokenizer.
    ner = pipeline("token-classification", model=str(output), tokenizer=str(output))
    assert {piece["start"] for piece in ner(TEXT)} <= {begin for begin, _ in offsets}
    assert ner.model.config.id2label == dict(enumerate(BIO))


@pytest.mark.parametrize(
    ("tags", "more", "labels", "scheme"),
    [
        (["B-DIS", "I-DIS", "L-DIS", "U-DIS", "O"], ["--rename", "DIS=Disease"],
         "Disease", "bilou"),
        (["Drug", "Sign_symptom", "0", "X", "Y"], ["--rename", "X=Age"],
         "Drug, Sign_symptom, Age, Y", "plain"),
        (["O", "B-131", "I-131", "E-131", "S-131"], ["--scheme", "plain"],
         "B-131, I-131, E-131, S-131", "plain"),
        (["B-A", "I-A", "E-A", "S-A", "nothing"], ["--rename", "nothing=O"], "A", "bilou"),
    ],
)  # fmt: skip
def test_tags_of_other_kinds(folder, tmp_path, capsys, tags, more, labels, scheme):
    edit(folder, id2label=dict(enumerate(tags)), label2id={tag: i for i, tag in enumerate(tags)})
    output = tmp_path / "out"
    assert run(folder, output, *more) == 0
    assert f"labels       {labels} ({scheme} tags, argmax)" in capsys.readouterr().out
    manifest = load_manifest(output)
    assert manifest.label_scheme == scheme
    named = json.loads((output / "config.json").read_text())["id2label"]
    assert tuple(named[str(column)] for column in range(5)) == manifest.labels
    spans = TokenClassifier.load(output, "cpu", "float32").predict([TEXT])[0].spans
    assert spans and {span.label for span in spans} <= set(manifest.scheme.entity_labels)


def test_tags_may_be_chosen_together(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "alone") == 0
    assert run(folder, tmp_path / "together", "--decoding", "viterbi") == 0
    alone, together = (load_manifest(tmp_path / name) for name in ("alone", "together"))
    assert (alone.decoding, together.decoding) == ("argmax", "viterbi")
    assert alone.fingerprint != together.fingerprint
    capsys.readouterr()
    plain = ["--scheme", "plain", "--decoding", "viterbi"]
    assert run(folder, tmp_path / "plain", *plain) == 2
    assert "decoding is 'viterbi' of plain tags" in capsys.readouterr().err


def test_the_scheme_stands_in_the_fingerprint_where_it_is_not_bio(folder, tmp_path):
    tags = ["O", "B-1", "I-1", "B-2", "I-2"]
    edit(folder, id2label=dict(enumerate(tags)), label2id={tag: i for i, tag in enumerate(tags)})
    prints = []
    for name, scheme in (("one", "bio"), ("two", "plain"), ("three", "bilou")):
        assert run(folder, tmp_path / name, "--scheme", scheme) == 0
        prints.append(load_manifest(tmp_path / name).fingerprint)
    assert len(set(prints)) == 3


def test_what_spark_nlp_does_not_run_is_refused(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "out") == 0
    exported = ["--model", str(tmp_path / "out"), "--output", str(tmp_path / "onnx")]
    assert export_model.main(exported) == 2
    said = capsys.readouterr().err
    assert "is a distilbert model with bio labels" in said and "use --engine torch" in said
    assert not (tmp_path / "onnx").exists()


def test_tags_from_a_file(folder, tmp_path, capsys):
    edit(folder, id2label={str(i): f"LABEL_{i}" for i in range(5)}, label2id=...)
    assert run(folder, tmp_path / "out") == 2
    assert "LABEL_0 to LABEL_4, no names: give its tags with --labels" in capsys.readouterr().err
    (tmp_path / "tags.txt").write_text("\n".join(BIO) + "\n")
    assert run(folder, tmp_path / "out", "--labels", str(tmp_path / "tags.txt")) == 0
    assert list(load_manifest(tmp_path / "out").labels) == BIO


def test_weights_of_torch_give_the_same_package(folder, tmp_path):
    assert run(folder, tmp_path / "one", "--name", "same") == 0
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): t for name, t in tensors.items()}
    old["distilbert.embeddings.position_ids"] = torch.arange(80)[None]
    torch.save(old, folder / "pytorch_model.bin")
    assert run(folder, tmp_path / "two", "--name", "same") == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    assert not list((tmp_path / "two").glob("*.bin"))


def test_a_model_that_computes_something_else_is_refused(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Encoder, "_norm", lambda self, x, w, name: x * 0.9)
    assert run(folder, tmp_path / "models" / "out") == 2
    assert "our logits differ from those of transformers by" in capsys.readouterr().err
    assert not list((tmp_path / "models").iterdir())


class Trap:
    """What a pickle of a stranger may do to who opens it."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (Path.touch, (self.place,))


def test_code_in_a_folder_is_not_run(folder, tmp_path, capsys):
    trapped = tmp_path / "sprung"
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(trapped)!r}).touch()\n")
    edit(folder, **HOSTILE)
    settings = {"auto_map": {"AutoTokenizer": ["evil.T", None]}, "tokenizer_class": "T"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert run(folder, tmp_path / "out") == 0
    kept = json.loads((tmp_path / "out" / "config.json").read_text())
    assert not set(kept) & set(HOSTILE)
    assert "evil" not in "".join(p.read_text() for p in (tmp_path / "out").glob("*.json"))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Trap(trapped)}, 2))
    assert run(folder, tmp_path / "other") == 2
    assert "not readable as plain weights (UnpicklingError)" in capsys.readouterr().err
    assert not trapped.exists() and not (tmp_path / "other").exists()


def test_a_vocabulary_becomes_a_tokenizer(folder, tmp_path):
    """vocab.txt alone, and capitals in it: transformers by itself would lower-case."""
    raw = json.loads((folder / "tokenizer.json").read_text())
    pieces = list(raw["model"]["vocab"])
    pieces[pieces.index("aspirin")] = "Aspirin"
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert run(folder, tmp_path / "out") == 0
    tokenizer = TokenClassifier.load(tmp_path / "out", "cpu", "float32")._tokenizer
    cased, other = tokenizer.encode(["Aspirin", "aspirin"])
    assert cased.ids.tolist() == [pieces.index("Aspirin")]
    assert len(other.ids) == 2  # asp ##irin


def test_merges_become_a_tokenizer(folders, tmp_path):
    theirs = Path(shutil.copytree(folders["roberta"], tmp_path / "theirs"))
    model = json.loads((theirs / "tokenizer.json").read_text())["model"]
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (theirs / "merges.txt").write_text(f"#version: 0.2\n{merges}")
    (theirs / "vocab.json").write_text(json.dumps(model["vocab"]))
    assert run(theirs, tmp_path / "one") == 0
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (theirs / name).unlink()
    assert run(theirs, tmp_path / "two") == 0
    one, two = (
        TokenClassifier.load(tmp_path / name, "cpu", "float32")._tokenizer.encode([TEXT])[0]
        for name in ("one", "two")
    )
    assert one.ids.tolist() == two.ids.tolist()
    assert one.word_begins.tolist() == two.word_begins.tolist()


def test_a_sentencepiece_that_cannot_be_read_is_refused(folders, tmp_path, capsys):
    theirs = Path(shutil.copytree(folders["albert"], tmp_path / "theirs"))
    (theirs / "tokenizer.json").unlink()
    (theirs / "spiece.model").write_bytes(b"\x00")
    assert run(theirs, tmp_path / "models" / "out") == 2
    said = capsys.readouterr().err
    assert "spiece.model cannot be made a tokenizer.json here" in said
    assert "call AutoTokenizer's save_pretrained" in said
    assert not list((tmp_path / "models").iterdir())


def damage(folder, how):
    tensors = load_file(folder / "model.safetensors")
    if how == "no head":
        tensors = {name: t for name, t in tensors.items() if "classifier" not in name}
    elif how == "a layer less":
        tensors = {name: t for name, t in tensors.items() if "layer.2." not in name}
    elif how == "more":
        tensors["crf.transitions"] = torch.zeros(5, 5)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (lambda f: edit(f, model_type="electra"), [],
         "runs 'albert', 'bert', 'distilbert', 'roberta' only"),
        (lambda f: edit(f, id2label=...), [], "has no id2label: give its tags with --labels"),
        (lambda f: edit(f, id2label={"0": "O", "1": "B-A"}), [], "5 output columns and 2 tags"),
        (lambda f: edit(f, id2label=dict(enumerate(["O", "B-A", "I-A", "C", "D"]))), [],
         "have a prefix (B-, I-, …), others none; --rename OLD=NEW"),
        (lambda f: edit(f, id2label=dict(enumerate(["O", "B-A", "I-A", "B-C", "\x1b[2J"]))), [],
         "must be 1 to 200 letters"),
        (lambda f: damage(f, "no head"), [], "no token classification model"),
        (lambda f: damage(f, "a layer less"), [], "16 tensors do not fit a DistilBert"),
        (lambda f: damage(f, "more"), [], "the first is crf.transitions"),
        (lambda f: (f / "model.safetensors").unlink(), [], "it has no weights; save the model as"),
        (lambda f: (f / "model.safetensors").rename(f / "model.safetensors.index.json"), [],
         "its weights are in parts (model.safetensors.index.json)"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), [], "not a readable safetensors"),
        (lambda f: (f / "tokenizer.json").unlink(), [],
         "has neither tokenizer.json nor vocab.txt; open it in transformers"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), [], "not a readable tokenizer"),
        (lambda f: (f / "config.json").unlink(), [], "must be a folder with config.json"),
        (lambda f: (f / "config.json").write_text("["), [], "not readable JSON"),
        (lambda f: edit(f, dropout="x"), [], "transformers cannot open the model"),
        (lambda f: None, ["--max-wordpieces", "81"], "81 must not exceed the model's 80 positions"),
        (lambda f: None, ["--overlap", "79"], "overlap 79 must be"),
        (lambda f: None, ["--rename", "Drug=X"], "no tag Drug among O, B-Chemical"),
        (lambda f: None, ["--rename", "Drug"], "--rename Drug must be OLD=NEW"),
        (lambda f: None, ["--rename", "Disease=Chemical"], "stands twice"),
        (lambda f: None, ["--scheme", "bilou", "--rename", "I-Disease=X"], "'X' is not O, B-"),
        (lambda f: None, ["--name", "it's"], "must be 1 to 200 letters"),
        (lambda f: None, ["--labels", "absent.txt"], "absent.txt is not readable"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing(folder, tmp_path, capsys, change, more, said):
    change(folder)
    assert run(folder, tmp_path / "models" / "out", *more) == 2
    message = capsys.readouterr().err
    assert said in message and message.startswith("import_model: error: ")
    assert "\x1b" not in message
    assert not list((tmp_path / "models").glob("*")) and not list((tmp_path / "models").glob(".*"))


def test_an_output_that_exists_and_a_model_that_does_not(folder, tmp_path, capsys):
    assert run(folder, folder) == 2
    assert "exists; name a new folder" in capsys.readouterr().err
    assert run("owner/model", tmp_path / "out") == 2
    assert "no folder owner/model: --model names one; with --from-hub" in capsys.readouterr().err


def test_a_name_of_a_hub_without_a_network(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    assert run("d4data/biomedical-ner-all", tmp_path / "out", "--from-hub") == 2
    said = capsys.readouterr().err
    assert "d4data/biomedical-ner-all could not be fetched" in said
    assert "hf download d4data/biomedical-ner-all --local-dir FOLDER" in said
    assert run("../secrets/x", tmp_path / "out", "--from-hub") == 2
    assert "is no name of a hub" in capsys.readouterr().err


def test_a_name_of_a_hub_is_fetched_where_it_is_asked_for(folder, tmp_path, monkeypatch):
    asked = []

    def fetch(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert run("owner/model", tmp_path / "out", "--from-hub") == 0
    assert load_manifest(tmp_path / "out").base_model == "owner/model"
    [(name, patterns)] = asked
    assert name == "owner/model" and not [p for p in patterns if p.endswith(".py") or "*" in p]
