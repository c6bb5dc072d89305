"""Invented notes as a DataFrame, for soaks and benchmarks (`udfs.benchmark.invented_notes`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.schemas import LONG, STRING
from udfs.benchmark.invented_notes import NotePlan

# When the first day begins.
FIRST_DAY = "2150-01-01"
_ROW = T.StructType(
    [
        T.StructField("note_id", STRING),
        T.StructField("subject_id", LONG),
        T.StructField("note_type", STRING),
        T.StructField("seconds", LONG),
        T.StructField("text", STRING),
    ]
)


def invented_notes(spark: SparkSession, plan: NotePlan, partitions: int) -> DataFrame:
    """The notes of a plan: `note_id, subject_id, note_type, charttime, storetime, text`."""
    numbers = spark.range(0, plan.notes, 1, partitions)
    rows = numbers.mapInArrow(partial(_notes, plan=plan), _ROW)
    midnight = F.unix_timestamp(F.lit(FIRST_DAY), "yyyy-MM-dd")
    stored = F.timestamp_seconds(midnight + F.col("seconds"))
    return rows.select(
        "note_id",
        "subject_id",
        "note_type",
        stored.alias("charttime"),
        stored.alias("storetime"),
        "text",
    )


def _notes(batches: Iterable[pa.RecordBatch], plan: NotePlan) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        notes = [plan.note(number) for number in batch.column("id").to_pylist()]
        columns = {name: [getattr(note, name) for note in notes] for name in _ROW.names}
        yield pa.RecordBatch.from_pydict(columns)
