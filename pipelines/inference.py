"""Distinct windows → predictions: what is scored, by which engine, in which order.

An engine is a function from ``window_hash, text`` rows to prediction rows. This module knows how
Spark hands work to Python workers; the model itself is ``udfs.token_classifier``, imported on the
workers only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines import schemas

Engine = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True, slots=True)
class TorchEngine:
    """Scores windows with a Torch model inside Spark's Python workers, through Arrow.

    Args:
        folder: the model package, at the same path on every executor.
        fingerprint: of that package; a worker that finds another one refuses to work.
        device: ``auto``, ``cpu`` or ``cuda`` (the GPU that Spark assigned to the task).
        precision: ``auto``, ``float32`` or ``bfloat16``.
        tokens_per_batch: most word-pieces in one forward pass, padding included.
        buffer_windows: windows that a worker sorts by length at a time.
    """

    folder: Path
    fingerprint: str
    device: str = "auto"
    precision: str = "auto"
    tokens_per_batch: int = 4096
    buffer_windows: int = 4096

    def __call__(self, windows: DataFrame) -> DataFrame:
        """``window_hash, text`` → ``schemas.PREDICTION``, one row for each."""
        return windows.select("window_hash", "text").mapInArrow(self._score, schemas.PREDICTION)

    def _score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.arrow_stages import classify_batches
        from udfs.token_classifier import load_once

        task = TaskContext.get()
        classifier = load_once(
            self.folder,
            self.fingerprint,
            _assigned_device(self.device, task),
            self.precision,
            threads=task.cpus() if task else 1,
            tokens_per_batch=self.tokens_per_batch,
        )
        yield from classify_batches(batches, classifier, self.buffer_windows)


def _assigned_device(device: str, task: TaskContext | None) -> str:
    """The GPU whose address Spark gave to this task, read anew in every task."""
    gpus = task.resources().get("gpu") if task and device != "cpu" else None
    return f"cuda:{gpus.addresses[0]}" if gpus else device


def task_slots(spark: SparkSession) -> int:
    """How many tasks run at a time, as Spark plans it, without the SparkContext."""
    partitions = spark.range(10_000).select(F.spark_partition_id().alias("p")).distinct()
    return max(1, partitions.count())


def distinct_windows(windows: DataFrame, known: DataFrame | None, partitions: int) -> DataFrame:
    """Each window text once, without those whose hash stands in ``known``.

    The explicit partition count after the anti-join keeps adaptive execution from collapsing the
    stage into one task, and ``dropDuplicates`` over it needs no second shuffle.
    """
    wanted = windows.select("window_hash", "text")
    if known is not None:
        wanted = wanted.join(known.select("window_hash"), on="window_hash", how="left_anti")
    return wanted.repartition(partitions, "window_hash").dropDuplicates(["window_hash"])


def hash_range(windows: DataFrame, begin: float, end: float) -> DataFrame:
    """The windows whose hash lies in a part ``[begin, end)`` of the space, 0 to 1.

    Keyed hashes are uniform, so this is a random sample of that share, the same in every run.
    """
    column = F.col("window_hash")
    chosen = windows.where(column >= _hash_at(begin))
    return chosen if end >= 1 else chosen.where(column < _hash_at(end))


def _hash_at(fraction: float) -> str:
    return f"{min(int(fraction * 2**32), 2**32 - 1):08x}" if fraction > 0 else ""
