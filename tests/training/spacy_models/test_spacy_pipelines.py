"""Pipelines of spaCy become packages that find what spaCy itself finds, or nothing is written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy

from jobs import import_model
from tests.support.places import REPOSITORY
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers import model_loading
from udfs.classifiers.model_loading import check_package, load_classifier, load_once
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import load_manifest
from udfs.text.segmentation import segment_note

NOTE = (
    "Severe headache after aspirin 😀 today.\r\nMeds: ibuprofen, aspirin 81 mg; no fever.\n\n"
    "aspirin caused severe headache. ibuprofen and aspirin, no fever.\nNothing to see here."
)


@pytest.fixture(scope="module")
def tiny(load_tiny):
    return load_tiny("tiny_spacy")


@pytest.fixture(scope="module")
def pipelines(tiny, tmp_path_factory):
    """Two recognisers. Never write to them."""
    place = tmp_path_factory.mktemp("pipelines")
    return {
        "own": tiny.write_tiny_spacy(place / "own", others=("sentencizer", "attribute_ruler")),
        "listening": tiny.write_tiny_spacy(place / "listening", listening=True),
    }


@pytest.fixture
def pipeline(pipelines, tmp_path):
    """One that a test may damage."""
    return Path(shutil.copytree(pipelines["listening"], tmp_path / "theirs"))


@pytest.fixture
def package(pipelines, tmp_path):
    assert run(pipelines["listening"], tmp_path / "package") == 0
    return tmp_path / "package"


def run(source, output, *more):
    return import_model.main(["--model", str(source), "--output", str(output), *more])


def windows():
    return [NOTE[begin:end] for begin, end in segment_note(NOTE)]


@pytest.mark.parametrize("name", ["own", "listening"])
def test_a_package_finds_what_spacy_finds_in_every_window(pipelines, tmp_path, name, capsys):
    assert run(pipelines[name], tmp_path / "out", "--rename", "DRUG=Drug") == 0
    said = capsys.readouterr().out
    assert "labels       DISEASE, Drug\n" in said
    kept = {"own": "sentencizer, ner; left out: attribute_ruler", "listening": "tok2vec, ner;"}
    assert f"components   {kept[name]}" in said
    manifest = check_package(tmp_path / "out").manifest
    assert (manifest.kind, manifest.labels) == ("spacy", ("O", "DISEASE", "Drug"))
    assert manifest.fingerprint in said

    theirs = spacy.load(pipelines[name])
    names = {"DRUG": "Drug", "DISEASE": "DISEASE"}
    expected = [
        [(e.start_char, e.end_char, names[e.label_]) for e in theirs(text).ents]
        for text in windows()
    ]
    assert sum(map(len, expected)) > 5
    classifier = load_classifier(tmp_path / "out")
    for budget in (1, 4096):
        classifier.use(1, budget)
        answers = classifier.predict(windows())
        found = [[(s.begin, s.end, s.label) for s in a.spans] for a in answers]
        assert found == expected
        assert [a.wordpieces for a in answers] == [len(theirs.make_doc(t)) for t in windows()]
    mentions = find_entities(NOTE, classifier)
    assert {NOTE[m.begin : m.end] for m in mentions} >= {"aspirin", "ibuprofen"}
    assert classifier.predict([]) == []


def test_a_package_holds_no_words_and_grows_by_none(package):
    contents = b"".join(file.read_bytes() for file in package.iterdir())
    assert b"ibuprofen" not in contents and b"headache" not in contents
    classifier = load_classifier(package)
    known = len(classifier._nlp.vocab.strings)
    classifier.predict([f"word{number} of a note" for number in range(500)])
    assert len(classifier._nlp.vocab.strings) == known


def test_a_fingerprint_tells_packages_apart(pipelines, tmp_path):
    prints = set()
    for number, more in enumerate(([], [], ["--rename", "DRUG=Drug"], ["--name", "other"])):
        assert run(pipelines["own"], tmp_path / str(number), *more) == 0
        prints.add(load_manifest(tmp_path / str(number)).fingerprint)
    assert len(prints) == 2  # a name changes nothing, another label does
    assert run(pipelines["listening"], tmp_path / "other") == 0
    assert load_manifest(tmp_path / "other").fingerprint not in prints


def test_a_worker_goes_from_one_kind_to_the_other(package, tiny_package, monkeypatch):
    monkeypatch.setattr(model_loading, "_LOADED", {})
    for folder in (package, tiny_package, package):
        print_of = load_manifest(folder).fingerprint
        loaded = load_once(folder, print_of, "cpu", "float32", 1, 77)
        assert (loaded.manifest.fingerprint, loaded.tokens_per_batch) == (print_of, 77)
        assert list(model_loading._LOADED.values()) == [loaded]
        assert loaded.parameters > 1000


def test_what_is_altered_or_elsewhere_is_refused(package):
    with pytest.raises(ModelPackageError, match="model_type is 'spacy'"):
        TokenClassifier.load(package)
    with pytest.raises(InputError, match="run on the CPU"):
        load_classifier(package, device="cuda")
    manifest = json.loads((package / "ner_model.json").read_text())
    file = package / "ner_model.json"
    file.write_text(json.dumps(manifest | {"labels": ["O", "DRUG"]}))
    with pytest.raises(ModelPackageError, match="has the labels DISEASE, DRUG, the manifest DRUG"):
        load_classifier(package)
    file.write_text(json.dumps(manifest | {"kind": "other"}))
    with pytest.raises(ModelPackageError, match="kind is 'other', this release reads encoder and"):
        load_manifest(package)
    file.write_text(json.dumps(manifest))
    (package / "pipeline.msgpack").write_bytes(b"\x80")
    with pytest.raises(ModelPackageError, match="sha256 differs"):
        load_classifier(package)


def test_an_unreadable_pipeline_is_refused(package):
    from udfs.package.model_package import sha256_of

    unfit = r"pipeline\.msgpack does not fit config\.json"
    empty = "the recogniser has the labels , the manifest DISEASE, DRUG"
    for content, rule in (
        (b"", unfit),
        (b"\xff\xff", unfit),
        (b"\x81\xa3ner\xc4\x02\x91\x01", f"{unfit}|{empty}"),  # by the release of spaCy
        (b"\x80", empty),
    ):
        (package / "pipeline.msgpack").write_bytes(content)
        manifest = json.loads((package / "ner_model.json").read_text())
        manifest["files"]["pipeline.msgpack"] = sha256_of(package / "pipeline.msgpack")
        (package / "ner_model.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelPackageError, match=rule):
            load_classifier(package)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('factory = "ner"', 'factory = "entity_ruler"', "is made by 'entity_ruler'"),
        ('factory = "tok2vec"', 'factory = "transformer"', "'tok2vec' is a transformer"),
        ('factory = "ner"', 'factory = "tagger"', "no component made by 'ner'"),
        ("spacy.HashEmbedCNN.v2", "spacy-transformers.TransformerModel.v3", "names @architec"),
        ("spacy.Tokenizer.v1", "evil.Tokenizer.v1", "names @tokenizers"),
        ("[nlp]", "nlp", "cannot be read"),
        ("width = 16", "width = 17", "do not fit its config.cfg"),
    ],
)
def test_a_pipeline_of_other_parts_is_refused(pipeline, tmp_path, capsys, old, new, rule):
    file = pipeline / "config.cfg"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert run(pipeline, tmp_path / "out") == 2
    assert rule in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_flags_for_other_models_and_unknown_labels_are_refused(pipeline, tmp_path, capsys):
    for flags, rule in (
        (["--overlap", "3"], "--overlap is for models of transformers"),
        (["--rename", "PERSON=Drug"], "no label is called PERSON; there are DISEASE, DRUG"),
        (["--name", "it's"], "give --name"),
    ):
        assert run(pipeline, tmp_path / "out", *flags) == 2
        assert rule in capsys.readouterr().err
    # A package of spaCy has its pipeline in a folder of its own.
    inner = tmp_path / "en_core_med" / "en_core_med-3.4"
    inner.parent.mkdir()
    shutil.copytree(pipeline, inner)
    assert run(inner.parent, tmp_path / "out") == 0
    assert load_manifest(tmp_path / "out").base_model == "en_core_med-3.4"


_WATCHED = """
import sys
from pathlib import Path
from udfs.classifiers.model_loading import load_classifier

def tell(event, arguments):
    if event.split(".")[0] in ("pickle", "socket", "subprocess", "urllib") or event in (
        "os.system", "os.exec", "os.posix_spawn", "os.fork"
    ):
        print("REFUSED", event, str(arguments)[:80])

texts = ["aspirin caused severe headache."]
load_classifier(Path(sys.argv[1])).predict(texts)  # imports and warms up what spaCy needs
sys.addaudithook(tell)
[prediction] = load_classifier(Path(sys.argv[1])).predict(texts)
print("spans", len(prediction.spans))
"""


def test_a_package_is_loaded_and_used_without_pickles_processes_or_network(package):
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(package)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout == "spans 2\n"
