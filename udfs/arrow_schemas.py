"""The rows that leave a Python worker, as Arrow schemas, and the one way to build them.

Spark matches the columns of `mapInArrow` by position and drops extra ones in silence, so every
batch is built by name here and cast to its schema. The columns of tables are declared in
`table_columns`; `pipelines/schemas.py` has the same rows as Spark types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from udfs import table_columns as tables
from udfs.table_columns import BOOLEAN, INT, STRING, Column, columns_named, list_of, struct_of


def _schema(columns: Sequence[Column], *own: pa.Field) -> pa.Schema:
    """The schema of a stage's rows: columns of a table, then fields that no table has."""
    return pa.schema([*(column.field for column in columns), *own])


WINDOW = _schema(tables.NOTE_WINDOWS, pa.field("text", STRING, nullable=False))
SPAN = struct_of(tables.SPAN)
PREDICTION = _schema([c for c in tables.PREDICTIONS if c.name != "model_fingerprint"])
ENTITY = struct_of(tables.MENTION)
ANNOTATED_NOTE = _schema(
    columns_named(
        tables.PROCESSED_NOTES,
        *("note_id", "characters", "unread_characters", "windows", "wordpieces"),
    ),
    pa.field("entities", list_of(ENTITY), nullable=False),
)

# What `note_checks` reports on a note; `is_known` and `sql_mismatches` come from Spark.
CHECKED_NOTE = _schema(
    columns_named(tables.PROCESSED_NOTES, "note_id"),
    pa.field("is_known", BOOLEAN, nullable=False),
    pa.field("other_texts", INT, nullable=False),
    pa.field("sql_mismatches", INT, nullable=False),
    pa.field("uncovered_characters", INT, nullable=False),
    pa.field("wrong_windows", INT, nullable=False),
    pa.field("wrong_entities", INT, nullable=False),
)


def to_batch(
    columns: Mapping[str, Sequence[object] | pa.Array], schema: pa.Schema
) -> pa.RecordBatch:
    """Columns by name → a batch in exactly the order and the types of `schema`.

    Raises:
        KeyError: the names are not those of the schema.
        ValueError: a column that must have a value in every row holds a null; Spark would fail
            without naming the column.
    """
    if set(columns) != set(schema.names):
        raise KeyError(f"columns {sorted(columns)} are not those of the schema {schema.names}")
    arrays = [pa.array(columns[f.name], type=f.type) for f in schema]
    for f, array in zip(schema, arrays, strict=True):
        if array.null_count and not f.nullable:
            raise ValueError(f"column {f.name} holds {array.null_count} nulls and may hold none")
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
