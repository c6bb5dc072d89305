"""The flow from notes to annotated notes, as functions from DataFrame to DataFrame.

``notes → windows → distinct windows → predictions → annotated notes → entities``, on one screen.
It writes nothing and knows no tables: ``extraction_run`` puts tables between the steps.
"""

from __future__ import annotations

from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.inference import Engine, distinct_windows
from udfs.arrow_stages import annotate_batches, segment_batches
from udfs.note_annotation import AnnotationSettings


def extract_entities(
    notes: DataFrame, engine: Engine, key: bytes, settings: AnnotationSettings, partitions: int
) -> DataFrame:
    """Entities of some notes, without any table: for notebooks and small jobs.

    Args:
        notes: ``note_id`` (unique) and ``text`` (null counts as empty), whatever else it has.
        engine: scores distinct windows, see ``inference``.
        key: for the hashes by which equal windows are found.
        settings: names and filters.
        partitions: of the inference stage.

    Returns:
        ``note_id`` and the columns of ``schemas.ENTITY``, one row for each mention.
    """
    notes = with_text(notes.select("note_id", "text"))
    windows = find_windows(notes, key)
    predictions = engine(distinct_windows(windows, None, partitions))
    return entities_of(annotate_notes(notes, windows, predictions, settings))


def with_text(notes: DataFrame) -> DataFrame:
    """A null text is an empty one: such a note is done, without entities."""
    return notes.withColumn("text", F.coalesce("text", F.lit("")))


def find_windows(notes: DataFrame, key: bytes) -> DataFrame:
    """``note_id, text`` → ``schemas.WINDOW``, one row for each window."""
    # The key travels in the closure: a literal would stand in query plans and event logs.
    stage = partial(segment_batches, key=key)
    return notes.select("note_id", "text").mapInArrow(stage, schemas.WINDOW)


def annotate_notes(
    notes: DataFrame, windows: DataFrame, predictions: DataFrame, settings: AnnotationSettings
) -> DataFrame:
    """Projects predictions back on every place where their window stands.

    Args:
        notes: ``note_id, text``.
        windows: ``note_id, window_index, begin, end, window_hash``, all windows of these notes.
        predictions: ``schemas.PREDICTION``, at most one row for each hash.
        settings: names and filters.

    Returns:
        ``schemas.ANNOTATED_NOTE``, one row for each note, those without windows too.
    """
    scored = windows.select("note_id", "begin", "end", "window_hash").join(
        predictions, on="window_hash", how="left"
    )
    window = F.struct("begin", "end", "spans", "wordpieces", "unread_characters")
    by_note = scored.groupBy("note_id").agg(F.sort_array(F.collect_list(window)).alias("windows"))
    joined = notes.select("note_id", "text").join(by_note, on="note_id", how="left")
    stage = partial(annotate_batches, settings=settings)
    return joined.mapInArrow(stage, schemas.ANNOTATED_NOTE)


def entities_of(annotated: DataFrame) -> DataFrame:
    """``note_id`` and the columns of ``schemas.ENTITY``, one row for each mention."""
    return annotated.select("note_id", F.inline("entities"))
