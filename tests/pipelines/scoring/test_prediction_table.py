"""What is stored of the windows of a run, and how they are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.scoring import prediction_table as module
from pipelines.scoring.prediction_table import PredictionTable, WindowCounts, count_windows
from pipelines.tables.definitions import PREDICTIONS
from pipelines.tables.row_writes import append_rows
from pipelines.tables.table_root import TableRoot, create_tables

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
    append_rows(root, PREDICTIONS, rows)
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


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the time is: one number, to be changed."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_slices_are_of_the_size_that_the_speed_tells(clock) -> None:
    slices = module._Slices(characters=200_000_000, seconds=30.0)
    borders = iter(slices)
    first, second = next(borders), next(borders)
    assert (first, second) == ((0, 0.001), (0.001, 0.002))

    slices.done(first[1], 110.0)  # 0.001 in 10 s: 30 s would be 0.003
    third = next(borders)
    assert third == pytest.approx((0.002, 0.005))

    slices.done(second[1], 110.5)  # side by side with the first: 0.002 in 10.5 s, at most 4 times
    fourth = next(borders)
    assert fourth == pytest.approx((0.005, 0.009))

    slices.done(third[1], 140.0)  # the second and it: 0.004 in 30 s
    assert next(borders) == pytest.approx((0.009, 0.013))


def test_slices_fill_the_space_and_none_is_tiny(clock) -> None:
    slices = module._Slices(characters=1_000_000, seconds=1e-6)
    last = 0.0
    for begin, end in slices:
        assert begin == last
        assert end - begin >= module.LEAST_SLICE_CHARACTERS / 1_000_000 - 1e-9
        clock[0] += 5
        slices.done(end, clock[0])
        last = end
    assert last == 1


def test_little_text_is_one_slice(clock) -> None:
    assert list(module._Slices(characters=260_000, seconds=30.0)) == [(0, 1)]
