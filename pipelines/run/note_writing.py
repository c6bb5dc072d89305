"""How the results of a run get into the tables, in an order that survives a crash.

First comes a mark in the ledger, then windows and entities, and the ledger's own rows last. A run
that dies between two writes repeats them, and what the ledger lists is always in the tables. This
module does not know which notes are due or how they were scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.entity_extraction import annotate_notes, entities_of
from pipelines.spark.caching import kept
from pipelines.spark.concurrency import side_by_side
from pipelines.tables.definitions import ENTITIES, NOTE_WINDOWS, PROCESSED_NOTES
from pipelines.tables.row_writes import delete_rows, replace_notes, update_rows
from pipelines.tables.table_root import TableRoot
from udfs.annotation.steps import AnnotationSettings

# The pipeline fingerprint that the ledger has of a note while its rows are replaced or removed. No
# run has this fingerprint: whatever the next run is asked for, the note is due until the work is
# finished.
UNFINISHED = ""
# The tables that hold rows of a note, in the order in which these are deleted.
OF_NOTES = (ENTITIES, NOTE_WINDOWS, PROCESSED_NOTES)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What stands on every row that a run writes."""

    model: str
    model_fingerprint: str
    pipeline_fingerprint: str
    run_id: str
    processed_at: datetime

    def on(self, rows: DataFrame) -> DataFrame:
        """Adds these columns to rows."""
        return rows.withColumns({name: F.lit(getattr(self, name)) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Results:
    """What a run found, as rows.

    Attributes:
        due: the due notes: `note_id, text, text_hash` and details.
        known: the `note_id` of those that the ledger already has; None: it has none.
        windows: all windows of the due notes, with their places.
        scored: the `window_hash` of the windows that this run was the first to score.
        predictions: one row for each distinct window.
    """

    due: DataFrame
    known: DataFrame | None
    windows: DataFrame
    scored: DataFrame
    predictions: DataFrame


def write_notes(
    spark: SparkSession,
    root: TableRoot,
    results: Results,
    annotation: AnnotationSettings,
    stamp: Stamp,
    refuse_if_lease_lost: Callable[[], None],
) -> None:
    """Replaces the rows of all due notes.

    Args:
        spark: the session.
        root: where the tables are.
        results: what was found.
        annotation: names and filters.
        stamp: what stands on the rows.
        refuse_if_lease_lost: is called before each write; raises if this run has lost its lease.
    """
    due, windows = results.due, results.windows
    annotated = annotate_notes(due, windows, results.predictions, annotation)
    ids, model = due.select("note_id"), stamp.model
    with kept(annotated) as notes:
        refuse_if_lease_lost()
        if results.known is not None:
            marked = results.known.select("note_id", F.lit(model).alias("model"))
            _mark(spark, root, marked, "note_id", "model")
        entities = stamp.on(entities_of(notes).join(_details(due), "note_id", "inner"))
        refuse_if_lease_lost()
        # The two are independent, and a small write is mostly planning in one thread.
        side_by_side(
            lambda: replace_notes(spark, root, NOTE_WINDOWS, windows, ids),
            lambda: replace_notes(spark, root, ENTITIES, entities, ids, model),
        )
        ledger = stamp.on(_ledger_rows(notes, results))
        refuse_if_lease_lost()
        replace_notes(spark, root, PROCESSED_NOTES, ledger, ids, model)


def update_storetimes(spark: SparkSession, root: TableRoot, notes: DataFrame, model: str) -> None:
    """Updates the storetime of done notes whose text was stored again (`note_id, storetime`)."""
    rows = notes.select("note_id", F.lit(model).alias("model"), "storetime")
    update_rows(spark, root, PROCESSED_NOTES, rows, "note_id", "model")


def remove_notes(spark: SparkSession, root: TableRoot, note_ids: DataFrame) -> int:
    """Removes the rows of notes (`note_id`) for every model; returns the number of notes."""
    with kept(note_ids) as ids:
        count = ids.count()
        if count:
            _mark(spark, root, ids, "note_id")
            for table in OF_NOTES:
                delete_rows(spark, root, table, ids)
        return count


def _mark(spark: SparkSession, root: TableRoot, notes: DataFrame, *keys: str) -> None:
    rows = notes.withColumn("pipeline_fingerprint", F.lit(UNFINISHED))
    update_rows(spark, root, PROCESSED_NOTES, rows, *keys)


def _details(due: DataFrame) -> DataFrame:
    return due.select("note_id", *(n for n in schemas.NOTE_DETAILS if n != "storetime"))


def _ledger_rows(annotated: DataFrame, results: Results) -> DataFrame:
    """The ledger's rows; a window is new in a note if this run was the first to score its text."""
    new = (
        results.windows.join(results.scored, on="window_hash", how="left_semi")
        .groupBy("note_id")
        .agg(F.count(F.lit(1)).cast("int").alias("new_windows"))
    )
    return (
        annotated.withColumn("entities", F.size("entities"))
        .join(results.due.select("note_id", "text_hash", "storetime"), on="note_id", how="inner")
        .join(new, on="note_id", how="left")
        .withColumn("new_windows", F.coalesce("new_windows", F.lit(0)))
    )
