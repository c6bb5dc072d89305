"""The input of one run: finds, reads, judges and counts it, and tells whether it changes meanwhile.

It knows neither which notes are due nor our tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.source.note_columns import map_columns, missing_parts
from pipelines.source.note_selection import RowCounts, count_rows, judge_notes, with_text_hash
from pipelines.source.note_source import (
    NoteSource,
    csv_files,
    note_ids,
    read_notes,
    refuse_missing_columns,
    resolve_source,
    unreadable_file,
    why_unreadable,
)
from pipelines.source.source_files import FILE, SourceFile, refuse_changes
from pipelines.spark.caching import kept
from udfs.errors import ClinspanError, InputError


@dataclass(frozen=True, slots=True)
class RunInput:
    """The rows of a source with a verdict on each (see `note_selection.judge_notes`).

    `missing` names the details whose columns the source does not have; `files` are the files that
    must not change until the rows are read for the last time.
    """

    source: NoteSource
    rows: DataFrame
    counts: RowCounts
    missing: tuple[str, ...]
    files: tuple[SourceFile, ...]

    def refuse_changes(self, spark: SparkSession) -> None:
        """Refuses a source whose rows may no longer be those that were counted.

        Raises:
            SourceChangedError: a file was written over or is gone.
        """
        refuse_changes(spark, self.source.describe(), self.files)

    def cause_of(self, spark: SparkSession, error: BaseException) -> BaseException:
        """The error of a run, or the `SourceChangedError` that explains it."""
        if isinstance(error, ClinspanError) or not isinstance(error, Exception):
            return error
        try:
            self.refuse_changes(spark)
        except ClinspanError as changed:
            return changed
        except Exception:  # what broke the run may have broken this as well
            return error
        return error


@contextmanager
def open_input(
    spark: SparkSession,
    source: NoteSource,
    key: bytes,
    max_characters: int,
    raw: DataFrame | None = None,
) -> Iterator[RunInput]:
    """Opens a source, judges its rows, and yields them for as long as the context lasts.

    Args:
        spark: the session.
        source: where the notes are.
        key: the key of the hashes of texts.
        max_characters: longer notes are refused.
        raw: rows that a stream of the source gave; None: the source is read.

    Raises:
        InputError: there are no notes, or they cannot be read; nothing was written.
    """
    csv: tuple[SourceFile, ...] = ()
    is_part = source.is_part or raw is not None
    may_change = source.limit is not None or raw is not None
    if raw is None:
        source = resolve_source(spark, source)
        if source.changed_only and source.version is None:
            raise InputError(
                f"changed_only reads what came into a Delta table, and {source.describe()} is "
                "none: leave --changed-only out, or import the notes (jobs/import_notes.py)"
            )
        csv = csv_files(source)
        raw = read_notes(spark, source)
    chosen = choose_rows(map_columns(raw, source.columns), source)
    judged = judge_notes(with_text_hash(spark, chosen, key), max_characters)
    # A limit may choose other rows each time Spark computes it.
    with kept(judged) if may_change else nullcontext(judged) as rows:
        counts = _counted(source, rows)
        if not counts.rows_read and not is_part:
            raise InputError(f"{source.describe()} holds no notes: it must have at least one")
        refuse_missing_columns(spark, source, counts.doubtful)
        missing = missing_parts(raw, source.columns)
        yield RunInput(source, rows.drop(FILE), counts, missing, counts.files or csv)


def choose_rows(rows: DataFrame, source: NoteSource) -> DataFrame:
    """Keeps the rows within a source's times and limit, and marks withdrawn ones."""
    for limit, is_inside in (
        (source.since, F.col("storetime") >= F.lit(source.since).cast("timestamp")),
        (source.until, F.col("storetime") < F.lit(source.until).cast("timestamp")),
    ):
        if limit is not None:
            rows = rows.where(F.col("storetime").isNull() | is_inside)
    if source.withdrawn_ids:
        ids = note_ids(rows.sparkSession, source.withdrawn_ids)
        listed = F.broadcast(ids.withColumn("_listed", F.lit(True)))
        rows = rows.join(listed, on="note_id", how="left")
        is_listed = F.coalesce("_listed", F.lit(False))
        rows = rows.withColumn("withdrawn", F.col("withdrawn") | is_listed).drop("_listed")
    return rows if source.limit is None else rows.limit(source.limit)


def _counted(source: NoteSource, judged: DataFrame) -> RowCounts:
    try:
        return count_rows(judged)
    except Exception as error:
        if unreadable_file(error) is None:
            raise
        raise InputError(why_unreadable(source, error)) from None
