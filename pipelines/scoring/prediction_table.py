"""The table of predictions of one model: what it holds, and how missing windows are scored.

A model scores a distinct window once. The work is committed in slices of the hash space, so that a
killed run loses little and a user sees how far it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.scoring.distinct_windows import hash_range, size_of
from pipelines.scoring.torch_engine import Engine
from pipelines.spark.concurrency import overlapping
from pipelines.tables.definitions import PREDICTIONS
from pipelines.tables.row_writes import append_rows
from pipelines.tables.table_root import TableRoot

# The first slice tells the speed; with the slowest engine measured (1.3 notes/s) it takes a minute.
FIRST_SLICE_CHARACTERS = 200_000
# The smallest share of the hash space, and the least text, of a slice. Each slice is a commit of a
# second or two; if scoring it took little longer than that, the engine would seem slow.
SMALLEST_SLICE = 0.002
LEAST_SLICE_CHARACTERS = FIRST_SLICE_CHARACTERS // 10
# A slice takes over the slots that have no work left in the slice before, and goes on while that
# one is committed. Spark serves the older slice first, so a killed run loses little more than one.
SLICES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of the distinct windows of a run.

    `distinct` counts all of them, `scored` those that this run was the first to score,
    `scored_wordpieces` the word-pieces of these, `failed` those that the model cannot score.
    """

    distinct: int
    scored: int
    scored_wordpieces: int
    failed: int


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """The rows of one model in the table `predictions` of a root."""

    spark: SparkSession
    root: TableRoot
    model_fingerprint: str

    def stored(self, places: DataFrame) -> DataFrame:
        """The stored predictions of this model for the windows at some places.

        Args:
            places: `window_hash` of every place, kept in a cache.

        Returns:
            `schemas.PREDICTION`, one row for each distinct window that this model has scored.
        """
        # A snapshot: a write to a table drops every cache whose plan reads its current version.
        rows = self.root.snapshot(self.spark, PREDICTIONS)
        own = rows.where(F.col("model_fingerprint") == self.model_fingerprint)
        # Choose first: a day's windows are few, and stored rows must not be sorted for them.
        wanted = places.select("window_hash").distinct()
        chosen = own.join(wanted, on="window_hash", how="left_semi")
        # Two runs at once may have scored the same window.
        return chosen.select(*schemas.PREDICTION.names).dropDuplicates(["window_hash"])

    def score(
        self,
        missing: DataFrame,
        engine: Engine,
        slice_seconds: float,
        scored: Callable[[int, int], None],
    ) -> None:
        """Scores windows in slices of about `slice_seconds`, each one commit.

        Args:
            missing: `window_hash, text`, distinct and kept in a cache.
            engine: see `torch_engine`.
            slice_seconds: how long a slice should take.
            scored: is called after each slice with the characters done and the total.
        """
        _, characters = size_of(missing)
        if not characters:
            return
        slices = _Slices(characters, slice_seconds)

        def work(begin: float, end: float) -> float:
            predictions = engine(hash_range(missing, begin, end))
            rows = predictions.withColumn("model_fingerprint", F.lit(self.model_fingerprint))
            append_rows(self.root, PREDICTIONS, rows)
            return end

        works = (partial(work, *borders) for borders in slices)
        for end in overlapping(works, SLICES_AT_ONCE):
            slices.done(end, time.monotonic())
            scored(int(characters * end), characters)


class _Slices:
    """Borders of consecutive slices of the hash space, 0 to 1; the speed so far sets the sizes."""

    def __init__(self, characters: int, seconds: float) -> None:
        self._seconds = seconds
        self._share = FIRST_SLICE_CHARACTERS / characters
        self._least = max(SMALLEST_SLICE, LEAST_SLICE_CHARACTERS / characters)
        self._ends = [(time.monotonic(), 0.0)]

    def __iter__(self) -> Iterator[tuple[float, float]]:
        begin = 0.0
        while begin < 1:
            # A last slice that would be tiny is merged into the one before it.
            end = 1.0 if begin + 1.3 * self._share >= 1 else begin + self._share
            yield begin, end
            begin = end

    def done(self, end: float, now: float) -> None:
        """Learns the speed from this slice and the one before, because the two overlap."""
        _, before = self._ends[-1]
        self._ends.append((now, end))
        started, begin = self._ends[-1 - SLICES_AT_ONCE :][0]
        share = (end - begin) * self._seconds / max(now - started, 1e-3)
        self._share = min(4 * (end - before), max(share, self._least))


def count_windows(missing: DataFrame, stored: DataFrame) -> WindowCounts:
    """Counts the distinct windows of a run, in one query.

    Args:
        missing: `window_hash` of the windows that this run scored, distinct.
        stored: see `PredictionTable.stored`, after the scoring: one row for each window.
    """
    fails = F.col("failure").isNotNull()
    is_scored = F.col("_is_new") & ~fails
    row = (
        stored.select("window_hash", "wordpieces", "failure")
        .join(missing.select("window_hash", F.lit(True).alias("_is_new")), "window_hash", "left")
        .agg(
            F.count(F.lit(1)),
            F.count_if(is_scored),
            F.coalesce(F.sum(F.when(is_scored, F.col("wordpieces"))), F.lit(0)),
            F.count_if(fails),
        )
        .first()
    )
    return WindowCounts(*row) if row else WindowCounts(0, 0, 0, 0)
