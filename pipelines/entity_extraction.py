"""The flow from notes to annotated notes, as functions from DataFrame to DataFrame.

`notes → windows → distinct windows → predictions → annotated notes → entities`, on one screen.
It writes nothing and knows no tables: `extraction_run` puts tables between the steps.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from os import PathLike

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines import schemas
from pipelines.scoring.distinct_windows import distinct_windows
from pipelines.scoring.torch_engine import Engine, TorchEngine
from pipelines.spark.slots import task_slots
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import InputError
from udfs.stages.arrow_stages import annotate_batches, segment_batches


def extract_entities(
    notes: DataFrame,
    model: str | PathLike[str] | Engine,
    key: bytes | None = None,
    settings: AnnotationSettings | None = None,
    partitions: int | None = None,
    *,
    entity_types: Mapping[str, str] | None = None,
) -> DataFrame:
    """Entities of some notes, without any table: for notebooks and small jobs.

        extract_entities(notes, "build/my-model")

    Args:
        notes: has `note_id` and `text` (null counts as empty); other columns are ignored. Spark
            computes it several times and must get the same rows each time: `cache()` rows that
            can differ between computations, such as a `limit` over a query.
        model: the folder of a model package, or an engine (see `scoring.torch_engine`).
        key: key of the hashes by which equal windows are found. None: a random key for this call,
            which is enough because nothing is stored.
        settings: names and filters. None keeps every entity, under the model's own name.
        partitions: how many partitions the inference stage has. None: as many as tasks run at a
            time.
        entity_types: maps labels in lower case to entity types; the main job uses
            `conf.entity_types.load_entity_types()`. None: the types of `settings`. A label
            without a type is its own type, in lower case.

    Returns:
        `note_id` and the columns of `schemas.ENTITY`, one row for each mention. Spark computes
        them again at each use, so `cache()` or write them.

    Raises:
        InputError: a column is missing or has the wrong type, an id is null or stands in two rows,
            or the model cannot be used.
    """
    engine = TorchEngine.from_package(model) if isinstance(model, str | PathLike) else model
    settings = settings or AnnotationSettings(model=_model_name(engine))
    if entity_types is not None:
        settings = replace(settings, entity_types=entity_types)
    notes = with_text(_checked(notes))
    windows = find_windows(notes, key or secrets.token_bytes(32))
    partitions = partitions or task_slots(notes.sparkSession)
    predictions = engine(distinct_windows(windows, None, partitions))
    return entities_of(annotate_notes(notes, windows, predictions, settings))


def _model_name(engine: Engine) -> str:
    if isinstance(engine, TorchEngine):
        return engine.package.manifest.name
    raise InputError(
        "this engine does not know the name of its model, which stands in every entity_id: "
        "pass settings=AnnotationSettings(model=NAME)"
    )


def _checked(notes: DataFrame) -> DataFrame:
    """Returns `note_id, text` as strings; refuses null and repeated ids.

    Two texts under one id would be mixed.
    """
    types = {field.name.lower(): field.dataType for field in notes.schema}
    if "note_id" not in types or not isinstance(types.get("text"), T.StringType):
        found = ", ".join(f"{name} {kind}" for name, kind in notes.dtypes)
        raise InputError(
            f"notes must have the columns note_id and text, a string; they have: {found}. "
            "Rename yours with withColumnRenamed"
        )
    notes = notes.select(
        F.col("note_id").cast("string").alias("note_id"), F.col("text").alias("text")
    )
    wrong = notes.groupBy("note_id").count().where("note_id IS NULL OR count > 1").count()
    if wrong:
        raise InputError(
            f"{wrong} note_ids are null or stand in more than one row: each note must have one of "
            "its own; jobs/extract_entities.py can choose among rows with one id"
        )
    return notes


def with_text(notes: DataFrame) -> DataFrame:
    """Replaces null texts by empty ones: such a note is done, without entities."""
    return notes.withColumn("text", F.coalesce("text", F.lit("")))


def find_windows(notes: DataFrame, key: bytes) -> DataFrame:
    """`note_id, text` → `schemas.WINDOW`, one row for each window."""
    # The key travels in the closure: a literal would stand in query plans and event logs.
    stage = partial(segment_batches, key=key)
    return notes.select("note_id", "text").mapInArrow(stage, schemas.WINDOW)


def annotate_notes(
    notes: DataFrame, windows: DataFrame, predictions: DataFrame, settings: AnnotationSettings
) -> DataFrame:
    """Projects predictions back onto every place where their window stands.

    Args:
        notes: `note_id, text`.
        windows: `note_id, window_index, begin, end, window_hash`, all windows of these notes.
        predictions: `schemas.PREDICTION`, at most one row for each hash.
        settings: names and filters.

    Returns:
        `schemas.ANNOTATED_NOTE`, one row for each note, including notes without windows.
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
    """`note_id` and the columns of `schemas.ENTITY`, one row for each mention."""
    return annotated.select("note_id", F.inline("entities"))
