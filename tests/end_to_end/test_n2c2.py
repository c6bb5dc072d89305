"""An invented corpus in the files of n2c2 2018: training, package, scores, entity tables.

Takes minutes (it trains the real base model for an epoch), so it stands under `make test-slow`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import extract_entities, fine_tune_ner, make_n2c2, score_model
from training.corpora.form_table import read_corpus
from training.evaluation.strict_scores import predict_documents
from training.invented.invented_summaries import LABELS
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.package.model_package import load_manifest

pytestmark = pytest.mark.slow

NOTES = 120


def test_from_the_files_of_n2c2_to_entity_tables(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("CLINSPAN_HASH_KEY", "ab" * 32)
    monkeypatch.chdir(tmp_path)
    corpus = f"n2c2:{tmp_path / 'corpus'}"
    assert make_n2c2.main(["--output", "corpus", "--notes", str(NOTES)]) == 0
    recipe = ["--epochs", "1", "--learning-rate", "6e-4", "--threads", "1", "--score-parts", "none"]
    assert fine_tune_ner.main(["--corpus", corpus, "--output", "model", *recipe]) == 0
    scoring = ["--model", "model", "--corpus", corpus, "--threads", "1", "--json", "scores.json"]
    assert score_model.main([*scoring, "--write-card"]) == 0
    scores = json.loads(Path("scores.json").read_text())["n2c2 test"]["scores"]
    assert scores["overall"]["f1"] > 0.5
    assert set(scores) == {*LABELS, "overall"}
    assert load_manifest(Path("model")).scores["n2c2 test"]["scores"] == scores

    documents = read_corpus(corpus, ["test"])[:12]
    lines = [json.dumps({"note_id": d.doc_id, "text": d.text}) for d in documents]
    Path("notes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    # The JVM has a current folder of its own.
    root = tmp_path / "root"
    extraction = ["--notes", str(tmp_path / "notes.jsonl"), "--output", str(root)]
    extraction += ["--model", "model"]
    assert extract_entities.main(extraction) == 0
    entities = spark.read.format("delta").load(str(root / "entities"))
    found = {tuple(row) for row in entities.select("note_id", "begin", "end", "label").collect()}
    classifier = TokenClassifier.load(Path("model"), device="cpu")
    # The tables have the very mentions that are scored.
    assert found == {
        (document.doc_id, span.begin, span.end, span.label)
        for document, spans in zip(documents, predict_documents(documents, classifier), strict=True)
        for span in spans
    }
    types = {
        row.label: row.entity_type for row in entities.select("label", "entity_type").collect()
    }
    assert types == {label: label.lower() for label in types}
    assert {"Drug", "Strength", "Frequency"} <= types.keys()
