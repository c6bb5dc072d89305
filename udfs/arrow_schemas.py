"""The rows that leave a Python worker, as Arrow schemas, and the one way to build them.

Spark matches the columns of ``mapInArrow`` by position and drops extra ones in silence, so every
batch is built by name here and cast to its schema. ``pipelines/schemas.py`` holds the same as
Spark types; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

WINDOW = pa.schema(
    [
        pa.field("note_id", pa.string(), nullable=False),
        pa.field("window_index", pa.int32(), nullable=False),
        pa.field("begin", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("window_hash", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)

SPAN = pa.struct(
    [
        pa.field("begin", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

PREDICTION = pa.schema(
    [
        pa.field("window_hash", pa.string(), nullable=False),
        pa.field("spans", pa.list_(pa.field("element", SPAN, nullable=False)), nullable=False),
        pa.field("wordpieces", pa.int32(), nullable=False),
        pa.field("unread_characters", pa.int32(), nullable=False),
        # Why the model has no answer: then there are no spans and no word-pieces.
        pa.field("failure", pa.string()),
    ]
)

ENTITY = pa.struct(
    [
        pa.field("entity_id", pa.string(), nullable=False),
        pa.field("begin", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("entity_type", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

ANNOTATED_NOTE = pa.schema(
    [
        pa.field("note_id", pa.string(), nullable=False),
        pa.field("characters", pa.int32(), nullable=False),
        pa.field("unread_characters", pa.int32(), nullable=False),
        pa.field("windows", pa.int32(), nullable=False),
        pa.field("wordpieces", pa.int32(), nullable=False),
        pa.field("entities", pa.list_(pa.field("element", ENTITY, nullable=False)), nullable=False),
    ]
)

# What ``note_checks`` says of a note; ``is_known`` and ``sql_mismatches`` come from Spark.
CHECKED_NOTE = pa.schema(
    [
        pa.field("note_id", pa.string(), nullable=False),
        pa.field("is_known", pa.bool_(), nullable=False),
        pa.field("other_texts", pa.int32(), nullable=False),
        pa.field("sql_mismatches", pa.int32(), nullable=False),
        pa.field("uncovered_characters", pa.int32(), nullable=False),
        pa.field("wrong_windows", pa.int32(), nullable=False),
        pa.field("wrong_entities", pa.int32(), nullable=False),
    ]
)


def to_batch(
    columns: Mapping[str, Sequence[object] | pa.Array], schema: pa.Schema
) -> pa.RecordBatch:
    """Columns by name → a batch in exactly the order and the types of ``schema``.

    Raises:
        KeyError: the names are not those of the schema.
        ValueError: a column that must have a value in every row holds a null; Spark would die of
            it without naming the column.
    """
    if set(columns) != set(schema.names):
        raise KeyError(f"columns {sorted(columns)} are not those of the schema {schema.names}")
    arrays = [pa.array(columns[f.name], type=f.type) for f in schema]
    for f, array in zip(schema, arrays, strict=True):
        if array.null_count and not f.nullable:
            raise ValueError(f"column {f.name} holds {array.null_count} nulls and may hold none")
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
