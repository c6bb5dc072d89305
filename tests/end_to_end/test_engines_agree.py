"""Both engines on the 1,641 shared notes, through the whole job; long: `make test-slow`."""

from __future__ import annotations

from pathlib import Path

import pyspark
import pytest

from conf.spark_nlp_jars import SPARK_LINE, SPARK_NLP_JARS
from jobs.extract_entities import main
from jobs.set_up.set_up_spark import find_spark_home, missing_jars

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.model]


def test_spark_nlp_finds_what_torch_finds(
    spark, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not pyspark.__version__.startswith(f"{SPARK_LINE}."):
        pytest.skip(f"Spark NLP is for Spark {SPARK_LINE} here")
    if missing_jars(SPARK_NLP_JARS, find_spark_home() / "jars"):
        pytest.skip("the jars of Spark NLP are not set up: `make spark-nlp` does it")
    monkeypatch.setenv("CLINSPAN_HASH_KEY", "cd" * 32)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # One root for both: predictions are kept apart, entities are those of the last run.
    root = tmp_path / "root"
    found = {}
    for engine in ("torch", "spark_nlp"):
        notes = str(shared_data / "notes" / "notes.jsonl")
        assert main(["--notes", notes, "--output", str(root), "--engine", engine]) == 0
        entities = spark.read.format("delta").load(f"{root}/entities")
        rows = entities.select("note_id", "begin", "end", "label").collect()
        assert len(rows) == len(set(rows)) > 10_000
        found[engine] = set(rows)
    both = len(found["torch"] & found["spark_nlp"])
    f1 = 2 * both / (len(found["torch"]) + len(found["spark_nlp"]))
    assert f1 >= 0.97
    runs = spark.read.format("delta").load(f"{root}/runs").orderBy("start").collect()
    assert runs[0].model_fingerprint != runs[1].model_fingerprint
    assert [run.scored_windows for run in runs] == [runs[0].distinct_windows] * 2
    assert len({(run.wordpieces, run.unread_characters) for run in runs}) == 1
