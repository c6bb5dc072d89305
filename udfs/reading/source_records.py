"""What a record from a file of notes is, and how records become Arrow batches.

A record is either whole or refused. A refused one has a reason and a place, and none of its fields
leaves the worker. This module does not know the formats of files (`csv_records`, `text_files`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from udfs import arrow_schemas

# The most that a batch for Spark holds: few rows, because a row is a whole note.
BATCH_ROWS = 256
BATCH_BYTES = 4_000_000

INVALID_UTF8 = "invalid_utf8"
NOT_UTF8 = "the bytes are not UTF-8"


class SourceRecord(NamedTuple):
    """One record of a file, with its place in it.

    `row` counts records from 1, without the header. `line` is the line in which a record of a CSV
    file begins. `size` is the record's content in bytes, as an independent counter (`csv_count`,
    `text_size`) sees it. `reason` is null for a good record; `fields` is null for a refused one.
    """

    file: str
    row: int
    line: int | None
    size: int
    reason: str | None = None
    detail: str | None = None
    fields: Sequence[str | None] | None = None


def field_name(index: int) -> str:
    """The column name of a field, made from its index because a header may hold any names."""
    return f"field_{index}"


def record_schema(width: int) -> pa.Schema:
    """The Arrow schema of records with `width` fields, all of them strings."""
    place = [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
    return pa.schema(place + [pa.field(field_name(i), pa.string()) for i in range(width)])


def to_batches(found: Iterator[SourceRecord], width: int) -> Iterator[pa.RecordBatch]:
    """Records → batches of few rows and few bytes, never the whole file."""
    schema = record_schema(width)
    none: Sequence[str | None] = (None,) * width
    while taken := list(_take(found)):
        rows = ((*record[:6], *(record.fields or none)) for record in taken)
        columns = dict(zip(schema.names, zip(*rows, strict=True), strict=True))
        yield arrow_schemas.to_batch(columns, schema)


def _take(found: Iterator[SourceRecord]) -> Iterator[SourceRecord]:
    rows = size = 0
    for record in found:
        yield record
        rows, size = rows + 1, size + record.size
        if rows == BATCH_ROWS or size >= BATCH_BYTES:
            return
