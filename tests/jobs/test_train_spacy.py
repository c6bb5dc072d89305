"""A recogniser of spaCy from corpus to entity table, beside one of ours."""

import json
import struct

import numpy as np
import pytest

from jobs import calibrate_model, compare_models, score_model, train_spacy
from pipelines.entity_extraction import extract_entities
from training.tracking.mlflow_store import open_client
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers.model_loading import load_classifier
from udfs.package.model_package import load_manifest

QUICK = [
    *("--max-steps", "60", "--eval-frequency", "20", "--learning-rate", "0.02"),
    *("--width", "16", "--depth", "2", "--hidden-width", "16"),
]


@pytest.fixture
def train(tiny_models, own_folder, capsys):
    def run(*more, corpus=tiny_models.corpus):
        code = train_spacy.main(["--corpus", corpus, "--output", "out/spacy", *QUICK, *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.whole
def test_a_recogniser_is_trained_scored_compared_and_run_on_spark(
    train, tiny_models, own_folder, canary_files, capsys, spark
):
    code, said = train("--score-parts", "devel,test")
    assert code == 0, said
    package = own_folder / "out" / "spacy"
    manifest = load_manifest(package)
    assert (manifest.kind, manifest.scheme.entity_labels) == ("spacy", ("Chemical", "Disease"))
    assert f"fingerprint {manifest.fingerprint}" in said
    # Nothing of the documents is left in the package, in MLflow or beside them.
    assert canary_files(own_folder) == []
    assert {path.name for path in own_folder.iterdir()} == {"out", "build"}

    client = open_client()
    experiment = client.get_experiment_by_name("clinspan-ner")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.params["family"] == "spacy"
    assert run.data.params["training_data_digest"] == manifest.training_data_digest
    looks = client.get_metric_history(run.info.run_id, "devel/f1_of_spacy")
    assert [look.step for look in looks] == [0, 20, 40, 60]
    assert looks[-1].value > looks[0].value
    assert run.data.metrics["test/overall/f1"] > 0.5

    flags = ["--model", str(package), "--corpus", tiny_models.corpus, "--part", "test"]
    assert score_model.main([*flags, "--json", "s.json", "--resamples", "50"]) == 0
    [entry] = json.loads((own_folder / "s.json").read_text()).values()
    scored = entry["scores"]["overall"]["f1"]
    assert scored == pytest.approx(run.data.metrics["test/overall/f1"], abs=1e-4)

    pairs = ["--model", f"ours={tiny_models.good}", "--model", f"spacy={package}"]
    flags = ["--corpus", tiny_models.corpus, "--output", "report", "--resamples", "50"]
    assert compare_models.main([*pairs, *flags]) == 0
    found = json.loads((own_folder / "report" / "comparison.json").read_text())["models"]
    assert found["spacy"]["strict"]["overall"]["f1"]["value"] == scored
    assert found["spacy"]["parameters"] > 1000

    texts = [json.loads(line)["text"] for line in tiny_models.notes.read_text().splitlines()]
    notes = spark.createDataFrame(
        [(str(n), text) for n, text in enumerate(texts)], "note_id string, text string"
    )
    rows = extract_entities(notes, package).collect()
    classifier = load_classifier(package)
    expected = {
        (str(n), span.begin, span.end, span.label)
        for n, text in enumerate(texts)
        for span in find_entities(text, classifier)
    }
    assert {(row.note_id, row.begin, row.end, row.label) for row in rows} == expected
    assert expected

    capsys.readouterr()
    flags = ["--model", str(package), "--corpus", tiny_models.corpus, "--output", "calibrated"]
    assert calibrate_model.main(flags) == 2
    assert "model_type is 'spacy'" in capsys.readouterr().err


def test_word_vectors_of_word2vec_come_into_the_package(train, own_folder):
    words = ["aspirin", "ibuprofen", "fever", "headache"]
    rows = np.eye(4, dtype=np.float32)
    entries = [w.encode() + b" " + struct.pack("<4f", *r) for w, r in zip(words, rows, strict=True)]
    (own_folder / "PubMed-w2v.bin").write_bytes(b"4 4\n" + b"\n".join(entries) + b"\n")
    code, said = train("--vectors", "PubMed-w2v.bin", "--vector-words", "3")
    assert code == 0, said
    package = own_folder / "out" / "spacy"
    nlp = load_classifier(package)._nlp
    assert nlp.vocab.vectors.shape == (3, 4)
    assert np.array_equal(nlp.vocab["fever"].vector, rows[2])
    assert not nlp.vocab["headache"].has_vector
    # The network reads them: without them it answers otherwise.
    doc = nlp.make_doc("fever and aspirin")
    tok2vec = nlp.get_pipe("ner").model.get_ref("tok2vec")
    read = tok2vec.predict([doc])
    nlp.vocab.vectors.data = np.zeros_like(nlp.vocab.vectors.data)
    blind = tok2vec.predict([doc])
    assert not np.allclose(read, blind)
    card = (package / "README.md").read_text()
    assert "3 word vectors of 4 numbers" in card and "PubMed-w2v.bin" in card


def test_what_cannot_be_trained_is_refused(train, own_folder, tiny_models):
    for flags, rule in (
        (["--score-parts", "test"], "give --score-parts devel"),
        (["--train-parts", "train,devel"], "part devel is trained on"),
        (["--dropout", "1"], "dropout 1.0 must be less than 1"),
        (["--width", "0"], "width 0 must be greater than 0"),
        (["--first-batch-words", "2000"], "must be at most batch_words 1000"),
        (["--max-steps", "0", "--patience", "0"], "must set an end"),
        (["--vectors", "absent.bin"], "absent.bin must be a file of word2vec"),
        (["--corpus", "bc5cdr:absent"], "is not a folder"),
    ):
        code, said = train(*flags)
        assert (code, rule in said) == (2, True), said
    assert not (own_folder / "out").exists()
    other = own_folder / "other"
    other.mkdir()
    for part in ("train", "devel"):
        record = {"doc_id": part, "text": "a fever", "entities": [
            {"start": 2, "end": 7, "label": "Disease"}]}  # fmt: skip
        (other / f"{part}.jsonl").write_text(json.dumps(record) + "\n")
    code, said = train("--corpus", f"span-json:{other}")
    assert (code, "annotate different labels" in said) == (2, True), said
