"""Where notes come from: read a source, give its columns our names and types.

It does not know which rows count (``note_selection``), nor windows, models or tables of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.note_formats import detect_format, visible_files
from pipelines.schemas import NOTE_DETAILS
from pipelines.table_root import error_class, local_path, quote
from udfs.errors import InputError

CORRUPT = "_corrupt_record"
_GLOB = re.compile(r"[\\{}\[\]*?]")
_ID_TYPES = (T.StringType, T.IntegralType, T.DecimalType)
_CASTABLE = (T.StringType, T.NumericType, T.DateType, T.TimestampType, T.TimestampNTZType)


@dataclass(frozen=True, slots=True)
class NoteColumns:
    """Which column of the source plays which part.

    ``details`` maps each of ``schemas.NOTE_DETAILS`` to the columns that may hold it: the first
    that is not null counts. ``withdrawn`` names a column that is true for notes taken back.
    """

    note_id: str = "note_id"
    text: str = "text"
    details: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    withdrawn: str | None = None


@dataclass(frozen=True, slots=True)
class NoteSource:
    """One source of notes: exactly one of ``path`` and ``table`` is set.

    ``version`` pins a Delta path, so that every scan of a run reads the same notes.
    """

    columns: NoteColumns
    path: str | None = None
    table: str | None = None
    format: str = "auto"
    limit: int | None = None
    version: int | None = None

    def describe(self) -> str:
        """The source as a user would write it."""
        return self.table or str(self.path)


def pin_source(spark: SparkSession, source: NoteSource) -> NoteSource:
    """A Delta path at its latest version; any other source as it is.

    Raises:
        InputError: nothing is there, or it is not a Delta table.
    """
    if source.path is None or _format(source) != "delta":
        return source
    try:
        history = spark.sql(f"DESCRIBE HISTORY delta.{quote(source.path)} LIMIT 1")
        latest = history.select("version").first()
    except Exception as error:
        raise InputError(_why_unreadable(source, error)) from None
    return source if latest is None else replace(source, version=latest["version"])


def _format(source: NoteSource) -> str:
    return detect_format(str(source.path)) if source.format == "auto" else source.format


def read_notes(spark: SparkSession, source: NoteSource) -> DataFrame:
    """The rows of a source as they are.

    Raises:
        InputError: nothing is there, it is not readable as notes, or it has no columns.
    """
    try:
        rows = _load(spark, source)
    except InputError:
        raise
    except Exception as error:  # a broken file comes as a bare Java error, not as Spark's own
        raise InputError(_why_unreadable(source, error)) from None
    if rows.columns == [CORRUPT]:
        raise InputError(
            f"no line of {source.describe()} is a JSON object: JSON Lines hold one note a line, "
            "not spread over several; jq -c '.[]' makes them of a pretty-printed array"
        )
    if not rows.columns:
        raise InputError(f"{source.describe()} holds no notes: give a place that has at least one")
    return rows if source.limit is None else rows.limit(source.limit)


def _load(spark: SparkSession, source: NoteSource) -> DataFrame:
    if source.table is not None:
        return spark.table(source.table)
    path = str(source.path)
    kind, reader = _format(source), spark.read
    if kind == "delta":
        if source.version is not None:
            reader = reader.option("versionAsOf", source.version)
        return reader.format("delta").load(path)
    place = local_path(path)
    if place is not None and place.exists():
        if (place / "_delta_log").is_dir():
            # Its Parquet files hold deleted and replaced rows, too.
            raise InputError(f"{path} is a Delta table: read it with --format delta or auto")
        path = _GLOB.sub(r"\\\g<0>", path)
        # Spark skips folders that are no partitions, and with them their notes, in silence.
        nested = any("=" not in part for file in visible_files(place) for part in file.parts[:-1])
        reader = reader.option("recursiveFileLookup", str(nested).lower())
    if kind == "json":
        # Raw control characters inside strings are common in exports; without the option each
        # such row would be lost as a whole.
        reader = reader.option("allowUnquotedControlChars", "true")
        return reader.option("columnNameOfCorruptRecord", CORRUPT).json(path)
    return reader.format(kind).load(path)


def _why_unreadable(source: NoteSource, error: Exception) -> str:
    known = {
        "PATH_NOT_FOUND": "nothing is there; check --notes",
        "TABLE_OR_VIEW_NOT_FOUND": "there is no such table; check --notes-table",
        "UNABLE_TO_INFER_SCHEMA": "there are no files of that format; check --format",
        "DELTA_TABLE_NOT_FOUND": "it is not a Delta table; check --format",
        "DELTA_MISSING_DELTA_TABLE": "it is not a Delta table; check --format",
        "COLUMN_ALREADY_EXISTS": "two columns have one name but for case; rename one of them",
    }
    name = error_class(error)
    hint = known.get(name, f"they cannot be read ({name}); check that the files are whole")
    return f"no notes at {source.describe()}: {hint}"


def map_columns(rows: DataFrame, columns: NoteColumns) -> DataFrame:
    """The source's rows with our names and types.

    Returns:
        ``note_id, text, subject_id, hadm_id, note_type, charttime, storetime, withdrawn,
        details_lost, corrupt``; text and id exactly as they stand in the source.

    Raises:
        InputError: a column that is needed is missing, or has a type that cannot serve.
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
        names = ", ".join(f.name for f in fields.values() if f.name != CORRUPT)
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
