"""How the results of a run get into the tables: a mark in the ledger, windows, entities, and the
ledger's own rows last.

The order is the safety: a run that dies between two writes repeats them, and what the ledger says
is always there. It does not know which notes are due, nor how they were scored.
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

# The pipeline of a note in the ledger while its rows are replaced or removed. No run has it, so the
# note is due for every run until that has been done to its end, whatever the next one is asked for.
UNFINISHED = ""
# The tables that hold rows of a note, in the order in which they lose them.
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
        """The rows with these columns."""
        return rows.withColumns({name: F.lit(getattr(self, name)) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Results:
    """What a run found, as rows.

    `due` are the notes (`note_id, text, text_hash`, details), `known` the `note_id` of
    those in the ledger (None: none is), `windows` all of their places, `scored` the
    `window_hash` of those that this run was the first to score, `predictions`
    one for each distinct window.
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
    go_on: Callable[[], None],
) -> None:
    """Replaces the rows of all due notes.

    Args:
        spark: the session.
        root: where the tables are.
        results: what was found.
        annotation: names and filters.
        stamp: what stands on the rows.
        go_on: is called before each of these writes; raises where this run must not write any more.
    """
    due, windows = results.due, results.windows
    annotated = annotate_notes(due, windows, results.predictions, annotation)
    ids, model = due.select("note_id"), stamp.model
    with kept(annotated) as notes:
        go_on()
        if results.known is not None:
            marked = results.known.select("note_id", F.lit(model).alias("model"))
            _mark(spark, root, marked, "note_id", "model")
        entities = stamp.on(entities_of(notes).join(_details(due), "note_id", "inner"))
        go_on()
        # Neither needs the other; most of what a small write takes is one thread's planning.
        side_by_side(
            lambda: replace_notes(spark, root, NOTE_WINDOWS, windows, ids),
            lambda: replace_notes(spark, root, ENTITIES, entities, ids, model),
        )
        ledger = stamp.on(_ledger_rows(notes, results))
        go_on()
        replace_notes(spark, root, PROCESSED_NOTES, ledger, ids, model)


def move_notes(spark: SparkSession, root: TableRoot, notes: DataFrame, model: str) -> None:
    """Writes down when the text of notes that are done was stored last (`note_id, storetime`)."""
    rows = notes.select("note_id", F.lit(model).alias("model"), "storetime")
    update_rows(spark, root, PROCESSED_NOTES, rows, "note_id", "model")


def remove_notes(spark: SparkSession, root: TableRoot, note_ids: DataFrame) -> int:
    """Removes the rows of notes (`note_id`), of every model; returns how many notes."""
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
