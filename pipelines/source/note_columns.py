"""Which column of a source plays which part; gives the columns our names and types.

It does not know where the rows come from, nor which of them count (`note_selection`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.schemas import NOTE_DETAILS
from pipelines.source.source_files import FILE, FILE_TYPE
from pipelines.spark.names import quote
from udfs.errors import InputError

CORRUPT = "_corrupt_record"
# The column names that a message may show, and at most how many of them.
_PLAIN_NAME = re.compile(r"[^\W\d][\w.:/#-]{0,39}")
MOST_NAMES = 30
_ID_TYPES = (T.StringType, T.IntegralType, T.DecimalType)
_CASTABLE = (T.StringType, T.NumericType, T.DateType, T.TimestampType, T.TimestampNTZType)


@dataclass(frozen=True, slots=True)
class NoteColumns:
    """Which column of the source plays which part.

    `details` maps each of `schemas.NOTE_DETAILS` to the columns that may hold it: the first
    that is not null counts. `withdrawn` names a column that is true for withdrawn notes.
    """

    note_id: str = "note_id"
    text: str = "text"
    details: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    withdrawn: str | None = None

    def names(self) -> frozenset[str]:
        """All columns that may play a part, in lower case."""
        given = (self.note_id, self.text, self.withdrawn, *chain(*self.details.values()))
        return frozenset(name.lower() for name in given if name)


def map_columns(rows: DataFrame, columns: NoteColumns) -> DataFrame:
    """The source's rows with our names and types.

    Returns:
        `note_id, text, subject_id, hadm_id, note_type, charttime, storetime, withdrawn,
        details_lost, corrupt` and `source_files.FILE`; text and id exactly as they stand in the
        source.

    Raises:
        InputError: a needed column is missing or has a type that cannot be used.
    """
    fields = {f.name.lower(): f for f in rows.schema}
    note_id = _required(fields, columns.note_id, "note_id", _ID_TYPES, "a string or whole number")
    text = _required(fields, columns.text, "text", (T.StringType,), "a string")
    chosen = {n: _present(fields, columns.details.get(n, ()), n) for n in NOTE_DETAILS}
    details = {
        name: F.coalesce(*(_cast(f, NOTE_DETAILS[name]) for f in found))
        if found
        else F.lit(None).cast(NOTE_DETAILS[name])
        for name, found in chosen.items()
    }
    lost = [
        F.coalesce(*(_col(f.name).cast("string") for f in found)).isNotNull()
        & details[name].isNull()
        for name, found in chosen.items()
        if found
    ]
    corrupt = _col(CORRUPT) if CORRUPT in fields else F.lit(None).cast("string")
    return rows.select(
        _col(note_id.name).cast("string").alias("note_id"),
        _col(text.name).alias("text"),
        *(column.alias(name) for name, column in details.items()),
        _withdrawn(fields, columns.withdrawn).alias("withdrawn"),
        F.greatest(F.lit(False), F.lit(False), *lost).alias("details_lost"),
        corrupt.alias("corrupt"),
        (_col(FILE) if FILE in fields else F.lit(None).cast(FILE_TYPE)).alias(FILE),
    )


def missing_parts(rows: DataFrame, columns: NoteColumns) -> tuple[str, ...]:
    """The details (or `withdrawn`) of which the source has none of the columns named for them.

    Perhaps these names are misspelt.
    """
    there = {name.lower() for name in rows.columns}
    named = {**columns.details, "withdrawn": (columns.withdrawn,) if columns.withdrawn else ()}
    return tuple(
        part
        for part, names in named.items()
        if names and not any(name.lower() in there for name in names)
    )


def _col(name: str) -> Column:
    return F.col(quote(name))


def _required(
    fields: Mapping[str, T.StructField],
    name: str,
    part: str,
    types: tuple[type[T.DataType], ...],
    wanted: str,
) -> T.StructField:
    found = fields.get(name.lower())
    if found is None:
        names = _listed([f.name for f in fields.values() if f.name not in (CORRUPT, FILE)])
        raise InputError(
            f"the notes have no column {name!r} for the {part}; they have: {names}. "
            f"Choose a --preset, or --set notes.columns.{part}=NAME"
        )
    if not isinstance(found.dataType, types):
        raise InputError(
            f"the column {found.name!r} for the {part} has the type "
            f"{found.dataType.simpleString()}, it must be {wanted}: cast it in the source, "
            f"or --set notes.columns.{part}=NAME of another column"
        )
    return found


def _listed(names: Sequence[str]) -> str:
    """The columns of a source for a message; names that are not plain are only counted.

    The columns of JSON are its keys, and a key may be anything: a patient, a note.
    """
    shown = [name for name in names if _PLAIN_NAME.fullmatch(name)][:MOST_NAMES]
    hidden = len(names) - len(shown)
    others = [f"{hidden} others"] if hidden else []
    return " and ".join([*([", ".join(shown)] if shown else []), *others])


def _present(
    fields: Mapping[str, T.StructField], names: tuple[str, ...], part: str
) -> list[T.StructField]:
    found = [fields[name.lower()] for name in names if name.lower() in fields]
    for column in found:
        if not isinstance(column.dataType, _CASTABLE):
            raise InputError(
                f"the column {column.name!r} for {part} has the type "
                f"{column.dataType.simpleString()}, which is no number, time or string: "
                f"--set notes.columns.{part}=null leaves it out"
            )
    return found


def _cast(column: T.StructField, kind: T.DataType) -> Column:
    name = quote(column.name)
    if isinstance(column.dataType, T.NumericType) and isinstance(kind, T.TimestampType):
        return F.lit(None).cast(kind)  # a bare number is no time we could trust
    return F.expr(f"try_cast({name} AS {kind.simpleString()})")


def _withdrawn(fields: Mapping[str, T.StructField], name: str | None) -> Column:
    if name is None or name.lower() not in fields:
        return F.lit(False)
    value = F.lower(F.trim(_col(fields[name.lower()].name).cast("string")))
    return F.coalesce(value.isin("1", "1.0", "true", "t", "yes", "y"), F.lit(False))
