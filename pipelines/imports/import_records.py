"""Finds, counts, reads, types and judges the records of note files, before they become a table.

Two independent readers look at each file: one counts rows and bytes, the other reads the records;
`note_import` compares the two. This module does not know where tables lie or how rows are laid out
in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.schemas import NOTE_DETAILS
from pipelines.source import csv_source
from pipelines.source.note_columns import NoteColumns
from pipelines.spark.names import local_path
from pipelines.spark.slots import task_slots
from udfs.errors import InputError
from udfs.reading import text_files
from udfs.reading.csv_count import count_csv
from udfs.reading.csv_records import header_size
from udfs.reading.source_records import field_name

NO_NOTE_ID = "no_note_id"
# Types of MIMIC's columns that the main job does not use, or uses for a part with another type.
MIMIC_TYPES: Mapping[str, T.DataType] = {
    "row_id": T.LongType(),
    "chartdate": T.DateType(),
    "cgid": T.LongType(),
    "note_seq": T.LongType(),
}


@dataclass(frozen=True, slots=True)
class NoteFiles:
    """Files of one kind: CSV with a common header, or text files, named relative to `folder`."""

    files: tuple[str, ...]
    header: tuple[str, ...]
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the records of some files hold.

    `rows` counts rows by the reason of their refusal; the reason None means good rows.
    """

    rows: Mapping[str | None, int]
    size: int
    text_bytes: int
    unreadable: tuple[tuple[str, int], ...]

    @property
    def good(self) -> int:
        """Rows that become notes."""
        return self.rows.get(None, 0)

    @property
    def rejected(self) -> tuple[tuple[str, int], ...]:
        """Reasons and numbers of refused rows, most frequent first."""
        refused = [(reason, count) for reason, count in self.rows.items() if reason is not None]
        return tuple(sorted(refused, key=lambda pair: (-pair[1], pair[0])))


def find_notes(paths: Sequence[str]) -> NoteFiles:
    """Finds the note files at some paths.

    Raises:
        InputError: there are none, notes of several kinds, CSV files whose headers differ, or a
            file is given twice.
    """
    folder = local_path(paths[0])
    if len(paths) == 1 and folder is not None and folder.is_dir():
        texts = text_files.find_text_files(folder)
        if texts and csv_source.csv_files_in(folder):
            raise InputError(f"{paths[0]} holds text files and CSV files: import one at a time")
        if texts:
            return NoteFiles(texts, text_files.HEADER, str(folder))
    files = tuple(file.resolve() for path in paths for file in csv_source.find_csv_files(path))
    if len(set(files)) < len(files):
        raise InputError("a file is given twice: its notes would be there twice")
    return NoteFiles(tuple(map(str, files)), csv_source.common_header(files))


def count_files(notes: NoteFiles) -> tuple[int, int]:
    """Counts rows and bytes of content, independently of the reader of records.

    Raises:
        InputError: a file is damaged, or a quote in it is left open.
    """
    if notes.folder is not None:
        return len(notes.files), text_files.text_size(notes.folder, notes.files)
    paths = [Path(file) for file in notes.files]
    counts = [count_csv(path) for path in paths]
    headers = sum(header_size(path) for path in paths)
    return sum(c.rows for c in counts) - len(paths), sum(c.size for c in counts) - headers


def read_files(spark: SparkSession, notes: NoteFiles) -> DataFrame:
    """Reads every record, good or refused, with the columns of `csv_source.record_type`."""
    if notes.folder is None:
        return csv_source.read_records(spark, [Path(f) for f in notes.files], len(notes.header))
    folder, files = notes.folder, notes.files

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return text_files.text_batches(batches, folder, files)

    places = spark.range(0, len(files), 1, min(len(files), 4 * task_slots(spark)))
    return places.mapInArrow(read, csv_source.record_type(len(notes.header)))


def column_types(header: Sequence[str], columns: NoteColumns) -> dict[str, T.DataType]:
    """Maps each name of the header to the type that its part in the main job asks for."""
    details = {
        name.lower(): NOTE_DETAILS[part]
        for part, names in columns.details.items()
        for name in names
    }
    types = {**details, **MIMIC_TYPES, columns.text.lower(): T.StringType()}
    return {name: types.get(name.lower(), T.StringType()) for name in header}


def typed_columns(types: Mapping[str, T.DataType]) -> dict[str, Column]:
    """Maps each name of the header, in lower case, to its field of a record, cast to its type."""
    named = enumerate(types.items())
    return {name.lower(): _cast(field_name(index), kind) for index, (name, kind) in named}


def _cast(field: str, kind: T.DataType) -> Column:
    if isinstance(kind, T.StringType):
        return F.col(field)
    # pandas writes a whole number as 167853.0 if nulls stand in its column.
    raw = f"regexp_replace({field}, '[.]0+$', '')" if isinstance(kind, T.LongType) else field
    return F.expr(f"try_cast({raw} AS {kind.simpleString()})")


def judge(records: DataFrame, typed: Mapping[str, Column], note_id: str) -> DataFrame:
    """Also refuses rows without an id, because nothing could be said about their notes."""
    nameless = F.coalesce(F.trim(typed[note_id.lower()].cast("string")), F.lit("")) == ""
    refused = F.col("reason").isNull() & nameless
    why = F.lit(f"{note_id} is empty or not of its type")
    return records.withColumns(
        {
            "reason": F.when(refused, F.lit(NO_NOTE_ID)).otherwise(F.col("reason")),
            "detail": F.when(refused, why).otherwise(F.col("detail")),
        }
    )


def look(judged: DataFrame, header: Sequence[str], typed: Mapping[str, Column], text: str) -> Seen:
    """Counts rows by reason, and the values of good rows that do not fit their column's type."""
    fields = {name: field_name(index) for index, name in enumerate(header)}
    lost = {n: F.col(field).isNotNull() & typed[n.lower()].isNull() for n, field in fields.items()}
    found = (
        judged.groupBy("reason")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum("size").alias("size"),
            F.coalesce(F.sum(F.octet_length(typed[text.lower()])), F.lit(0)).alias("text_bytes"),
            *(F.count_if(is_lost).alias(f"lost_{fields[n]}") for n, is_lost in lost.items()),
        )
        .collect()
    )
    good = next((row for row in found if row["reason"] is None), None)
    unreadable = ((n, good[f"lost_{fields[n]}"] if good else 0) for n in header)
    return Seen(
        rows={row["reason"]: row["rows"] for row in found},
        size=sum(row["size"] for row in found),
        text_bytes=good["text_bytes"] if good else 0,
        unreadable=tuple(pair for pair in unreadable if pair[1]),
    )
