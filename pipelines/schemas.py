"""Every Spark type of the project: the notes as read, the stages' rows, the tables.

``udfs/arrow_schemas.py`` holds the stages' rows as Arrow schemas; a test keeps the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import types as T


def _struct(**columns: T.DataType) -> T.StructType:
    """A struct of columns that are never null."""
    return T.StructType([T.StructField(n, kind, nullable=False) for n, kind in columns.items()])


def _table(required: dict[str, T.DataType], optional: dict[str, T.DataType]) -> T.StructType:
    return T.StructType(
        [T.StructField(name, kind, nullable=False) for name, kind in required.items()]
        + [T.StructField(name, kind, nullable=True) for name, kind in optional.items()]
    )


STRING, INT, LONG, FLOAT = T.StringType(), T.IntegerType(), T.LongType(), T.FloatType()
DOUBLE, TIMESTAMP = T.DoubleType(), T.TimestampType()

# The columns of a note that travel with it into the entity table, and their types.
NOTE_DETAILS: dict[str, T.DataType] = {
    "subject_id": LONG,
    "hadm_id": LONG,
    "note_type": STRING,
    "charttime": TIMESTAMP,
    "storetime": TIMESTAMP,
}

WINDOW = _struct(
    note_id=STRING, window_index=INT, begin=INT, end=INT, window_hash=STRING, text=STRING
)
SPANS = T.ArrayType(_struct(begin=INT, end=INT, label=STRING, score=FLOAT), containsNull=False)
PREDICTION = _table(
    {"window_hash": STRING, "spans": SPANS, "wordpieces": INT, "unread_characters": INT},
    # Why the model has no answer: then there are no spans and no word-pieces.
    {"failure": STRING},
)
ENTITY = _struct(
    entity_id=STRING,
    begin=INT,
    end=INT,
    text=STRING,
    label=STRING,
    entity_type=STRING,
    score=FLOAT,
)
ANNOTATED_NOTE = _struct(
    note_id=STRING,
    characters=INT,
    unread_characters=INT,
    windows=INT,
    wordpieces=INT,
    entities=T.ArrayType(ENTITY, containsNull=False),
)

CHECKED_NOTE = _struct(
    note_id=STRING,
    is_known=T.BooleanType(),
    other_texts=INT,
    sql_mismatches=INT,
    uncovered_characters=INT,
    wrong_windows=INT,
    wrong_entities=INT,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A Delta table of the root.

    ``statistics`` are the columns whose minimum and maximum Delta may write into its log: never
    one that holds text. ``change_feed`` keeps row-level changes for readers downstream.
    """

    name: str
    schema: T.StructType
    statistics: tuple[str, ...]
    change_feed: bool = False


ENTITIES = Table(
    "entities",
    T.StructType(
        [
            T.StructField("entity_id", STRING, nullable=False),
            T.StructField("note_id", STRING, nullable=False),
            T.StructField("subject_id", LONG),
            T.StructField("hadm_id", LONG),
            T.StructField("note_type", STRING),
            T.StructField("charttime", TIMESTAMP),
            T.StructField("begin", INT, nullable=False),
            T.StructField("end", INT, nullable=False),
            T.StructField("text", STRING, nullable=False),
            T.StructField("label", STRING, nullable=False),
            T.StructField("entity_type", STRING, nullable=False),
            T.StructField("score", FLOAT, nullable=False),
            T.StructField("model", STRING, nullable=False),
            T.StructField("model_fingerprint", STRING, nullable=False),
            T.StructField("pipeline_fingerprint", STRING, nullable=False),
            T.StructField("run_id", STRING, nullable=False),
            T.StructField("processed_at", TIMESTAMP, nullable=False),
        ]
    ),
    statistics=("note_id", "subject_id", "hadm_id", "charttime", "entity_type", "model"),
    change_feed=True,
)
NOTE_WINDOWS = Table(
    "note_windows",
    _struct(note_id=STRING, window_index=INT, begin=INT, end=INT, window_hash=STRING),
    statistics=("note_id", "window_hash"),
)
PREDICTIONS = Table(
    "predictions",
    _table(
        {
            "window_hash": STRING,
            "model_fingerprint": STRING,
            "spans": SPANS,
            "wordpieces": INT,
            "unread_characters": INT,
        },
        {"failure": STRING},
    ),
    statistics=("window_hash", "model_fingerprint"),
)
PROCESSED_NOTES = Table(
    "processed_notes",
    _table(
        {
            "note_id": STRING,
            "model": STRING,
            "text_hash": STRING,
            "pipeline_fingerprint": STRING,
            "characters": INT,
            "unread_characters": INT,
            "windows": INT,
            "new_windows": INT,
            "wordpieces": INT,
            "entities": INT,
            "run_id": STRING,
            "processed_at": TIMESTAMP,
        },
        {"storetime": TIMESTAMP},
    ),
    statistics=("note_id", "model", "storetime", "processed_at"),
)
QUARANTINED_NOTES = Table(
    "quarantined_notes",
    _table(
        {
            "row_hint": STRING,
            "rule": STRING,
            "detail": STRING,
            "pipeline_fingerprint": STRING,
            "run_id": STRING,
            "at": TIMESTAMP,
        },
        {"note_id": STRING, "text_hash": STRING},
    ),
    statistics=("note_id", "rule", "at"),
)
RUNS = Table(
    "runs",
    _table(
        {
            "run_id": STRING,
            "start": TIMESTAMP,
            "status": STRING,
            "input": STRING,
            "settings_digest": STRING,
            "code_version": STRING,
            "model": STRING,
            "model_fingerprint": STRING,
            "pipeline_fingerprint": STRING,
        },
        {
            "end": TIMESTAMP,
            "input_version": LONG,
            "model_source": STRING,
            "error": STRING,
            "rows_read": LONG,
            "notes": LONG,
            "blank_notes": LONG,
            "quarantined_notes": LONG,
            "repeated_rows": LONG,
            "withdrawn_notes": LONG,
            "removed_notes": LONG,
            "notes_with_lost_details": LONG,
            "unchanged_notes": LONG,
            "windows": LONG,
            "distinct_windows": LONG,
            "scored_windows": LONG,
            "wordpieces": LONG,
            "scored_wordpieces": LONG,
            "unread_characters": LONG,
            "entities": LONG,
            "seconds": DOUBLE,
            "inference_seconds": DOUBLE,
            "holder": STRING,
            "heartbeat": TIMESTAMP,
        },
    ),
    statistics=("run_id", "start", "status"),
)
TABLES = (ENTITIES, PROCESSED_NOTES, NOTE_WINDOWS, QUARANTINED_NOTES, PREDICTIONS, RUNS)
