"""Where notes come from: read a source, map its columns, give every row a verdict.

Owns formats, column mapping and types, the rules of quarantine that need no model, and which of
several rows with one id counts. It does not know windows, models or tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.schemas import NOTE_DETAILS
from pipelines.table_root import error_class, local_path, quote
from udfs.errors import InputError
from udfs.text_hash import hmac_pads

CORRUPT = "_corrupt_record"
FORMATS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
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
    """One source of notes: exactly one of ``path`` and ``table`` is set."""

    columns: NoteColumns
    path: str | None = None
    table: str | None = None
    format: str = "auto"
    limit: int | None = None

    def describe(self) -> str:
        """The source as a user would write it."""
        return self.table or str(self.path)


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
    kind = detect_format(path) if source.format == "auto" else source.format
    if kind == "delta":
        return spark.read.format("delta").load(path)
    reader = spark.read
    place = local_path(path)
    if place is not None and place.exists():
        if (place / "_delta_log").is_dir():
            # Its Parquet files hold deleted and replaced rows, too.
            raise InputError(f"{path} is a Delta table: read it with --format delta or auto")
        path = _GLOB.sub(r"\\\g<0>", path)
        # Spark skips folders that are no partitions, and with them their notes, in silence.
        nested = any("=" not in part for file in _files(place) for part in file.parts[:-1])
        reader = reader.option("recursiveFileLookup", str(nested).lower())
    if kind == "json":
        # Raw control characters inside strings are common in exports; without the option each
        # such row would be lost as a whole.
        reader = reader.option("allowUnquotedControlChars", "true")
        return reader.option("columnNameOfCorruptRecord", CORRUPT).json(path)
    return reader.format(kind).load(path)


def detect_format(path: str) -> str:
    """``parquet``, ``delta`` or ``json``, from the name, or from what a local folder holds.

    Raises:
        InputError: there is nothing at a local path, or its kind cannot be told.
    """
    folder = local_path(path)
    if folder is not None and (folder / "_delta_log").is_dir():
        return "delta"
    if named := _format_of_name(path):
        return named
    if folder is None:
        return "parquet"
    if not folder.exists():
        raise InputError(f"no notes at {path}: nothing is there; check --notes")
    kinds = sorted({kind for file in _files(folder) if (kind := _format_of_name(file.name))})
    if len(kinds) == 1:
        return kinds[0]
    found = "several kinds of files" if kinds else "no Parquet, Delta or JSON Lines files"
    raise InputError(f"{path} holds {found}: say which with --format parquet, delta or json")


def _files(folder: Path) -> list[Path]:
    """The files that Spark would see in a folder, relative to it: none that is hidden."""
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return [f for f in found if not any(part.startswith(("_", ".")) for part in f.parts)]


def _format_of_name(name: str) -> str | None:
    stem = name.lower().rstrip("/").removesuffix(".gz").removesuffix(".bz2").removesuffix(".zst")
    return next((kind for suffix, kind in FORMATS.items() if stem.endswith(suffix)), None)


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


def judge_notes(notes: DataFrame, max_characters: int) -> DataFrame:
    """Adds ``rule`` and ``detail``: null for a note that can be worked on.

    The gate stands in the JVM, before any Python: bytes that are not UTF-8 kill an Arrow batch
    there, and Spark then prints the whole text.
    """
    rules = (
        ("unreadable_row", F.col("corrupt").isNotNull(), F.lit("the row is not valid JSON")),
        ("no_note_id", F.coalesce(F.trim("note_id"), F.lit("")) == "", F.lit("the id is empty")),
        (
            "invalid_utf8",
            ~(_is_utf8("note_id") & _is_utf8("text")),
            F.lit("the id or the text holds bytes that are not UTF-8"),
        ),
        (
            "too_long",
            F.length("text") > max_characters,
            F.concat(
                F.length("text").cast("string"),
                F.lit(f" characters, run.max_note_characters is {max_characters}"),
            ),
        ),
    )
    rule, detail = F.lit(None).cast("string"), F.lit(None).cast("string")
    for name, broken, why in reversed(rules):
        rule = F.when(broken, F.lit(name)).otherwise(rule)
        detail = F.when(broken, why).otherwise(detail)
    # An id that is not UTF-8 could not be shown anywhere; its row is known by its hash.
    note_id = F.when(_is_utf8("note_id"), F.col("note_id"))
    return notes.withColumns({"rule": rule, "detail": detail, "note_id": note_id})


def _is_utf8(name: str) -> Column:
    column = F.coalesce(F.col(name), F.lit(""))
    return F.encode(column, "UTF-8") == column.cast("binary")


def with_text_hash(spark: SparkSession, notes: DataFrame, key: bytes) -> DataFrame:
    """Adds ``text_hash``, the keyed hash of the text (of the raw row where that is corrupt).

    HMAC-SHA256 built from SHA-256; the key comes by a broadcast row, because a literal would
    stand in query plans and event logs. Equal to ``udfs.text_hash``.
    """
    inner, outer = hmac_pads(key)
    pads = spark.createDataFrame([(inner, outer)], "_inner binary, _outer binary")
    content = F.coalesce("corrupt", "text", F.lit("")).cast("binary")
    inside = F.unhex(F.sha2(F.concat("_inner", content), 256))
    hashed = F.sha2(F.concat("_outer", inside), 256)
    return (
        notes.crossJoin(F.broadcast(pads)).withColumn("text_hash", hashed).drop("_inner", "_outer")
    )


def one_row_each(notes: DataFrame) -> tuple[DataFrame, DataFrame | None]:
    """Of several rows with one id: the latest storetime wins, equal text counts once.

    Args:
        notes: good notes with ``text_hash``.

    Returns:
        the rows that count, and (None where every id is unique) the notes whose latest rows
        disagree: ``note_id``, ``text_hash`` of one of them.
    """
    repeated = notes.groupBy("note_id").count().where("count > 1").select("note_id")
    if repeated.isEmpty():
        return notes, None
    again = notes.join(repeated, on="note_id", how="left_semi")
    latest = again.groupBy("note_id").agg(F.max("storetime").alias("_latest"))
    last = again.join(latest, on="note_id", how="inner").where(
        F.col("storetime").eqNullSafe(F.col("_latest"))
    )
    verdict = last.groupBy("note_id").agg(
        F.countDistinct("text_hash").alias("_texts"), F.min("text_hash").alias("text_hash")
    )
    agreed = (
        last.drop("_latest")
        .join(verdict.where("_texts = 1").select("note_id"), on="note_id", how="left_semi")
        .dropDuplicates(["note_id"])
    )
    once = notes.join(repeated, on="note_id", how="left_anti")
    return once.unionByName(agreed), verdict.where("_texts > 1").select("note_id", "text_hash")
