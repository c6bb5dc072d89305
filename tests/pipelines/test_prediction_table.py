"""What is stored of the windows of a run, and how they are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.entity_table import append_rows
from pipelines.prediction_table import PredictionTable, WindowCounts, count_windows
from pipelines.table_root import TableRoot, create_tables

STORED = (
    # window_hash, model_fingerprint, word-pieces, failure
    ("a", "f1", 3, None),
    ("a", "f2", 30, None),
    ("b", "f1", 5, None),
    ("b", "f1", 5, None),  # two runs at once scored it
    ("c", "f1", 0, "died"),
    ("d", "f1", 7, None),
    ("elsewhere", "f1", 100, None),
)


@pytest.fixture
def table(spark, tmp_path: Path) -> PredictionTable:
    root = TableRoot.at(str(tmp_path / "root"), None)
    create_tables(spark, root)
    kinds = "window_hash string, model_fingerprint string, wordpieces int, failure string"
    rows = spark.createDataFrame(STORED, kinds).withColumns(
        {"spans": F.array().cast(schemas.SPANS), "unread_characters": F.lit(0)}
    )
    append_rows(root, schemas.PREDICTIONS, rows)
    return PredictionTable(spark, root, "f1")


def hashes(spark, *values: str):
    return spark.createDataFrame([(value,) for value in values], "window_hash string")


def test_stored_are_those_of_the_model_and_the_places_once_each(spark, table) -> None:
    rows = table.stored(hashes(spark, "a", "a", "b", "c", "new")).collect()
    assert {(row.window_hash, row.wordpieces, row.failure) for row in rows} == {
        ("a", 3, None),
        ("b", 5, None),
        ("c", 0, "died"),
    }
    assert len(rows) == 3


def test_windows_are_counted_once_each(spark, table) -> None:
    stored = table.stored(hashes(spark, "a", "a", "b", "c", "d", "d"))
    # What this run scored: "c" failed, so it is not among the scored ones.
    missing = hashes(spark, "b", "c", "d")
    counted = count_windows(missing, stored)
    assert counted == WindowCounts(distinct=4, scored=2, scored_wordpieces=12, failed=1)
    nothing = hashes(spark, "z").where("false")
    assert count_windows(nothing, table.stored(nothing)) == WindowCounts(0, 0, 0, 0)
    assert count_windows(nothing, stored) == WindowCounts(4, 0, 0, 1)
