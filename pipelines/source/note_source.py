"""Where notes come from: finds a source, reads it, and tells what is wrong with it.

It does not know what columns mean (`note_columns`), which rows count (`note_selection`), nor
windows, models or tables of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import unquote

from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from pipelines.source.change_feed import net_rows, read_changes
from pipelines.source.csv_source import find_csv_files, read_csv
from pipelines.source.note_columns import CORRUPT, NoteColumns, map_columns
from pipelines.source.note_formats import detect_format
from pipelines.source.parquet_schema import load_parquet
from pipelines.source.source_files import (
    FILE,
    SourceFile,
    escape_pattern,
    files_of,
    local_files,
    needs_recursion,
    spark_path,
    with_file,
)
from pipelines.spark.error_names import error_class
from pipelines.spark.names import local_path, name_parts, quote, sql_table
from udfs.errors import InputError

__all__ = ["NoteColumns", "NoteSource", "map_columns", "read_notes", "resolve_source"]

AUTO = "auto"  # `with_format` finds the format
# In `SELECT … FROM parquet.`/path`` these stand before a path, not before a table.
_FORMATS = ("parquet", "delta", "json", "csv", "text", "orc", "avro", "binaryfile")
# Where a Spark error names the file that Spark could not read: plain, or encoded as a URI.
_PLAIN_FILE = re.compile(
    r"file:? (\w+:/[^\n]+?)\. (?:Please ensure|Could not read footer)|"
    r"Exception: (\w+:/[^\n]+?) is not a Parquet file|File (\w+:/[^\n]+?) does not exist"
)
_URI_OF_FILE = re.compile(r" file (\w+:/\S+?)[.,;]?(?=\s)")


@dataclass(frozen=True, slots=True)
class NoteSource:
    """One source of notes: exactly one of `path` and `table` is set.

    `since` and `until` are storetimes, `YYYY-MM-DD HH:MM:SS` in UTC: rows from `since` on and
    before `until` are read, and all rows without a storetime. `withdrawn_ids` are withdrawn notes,
    in addition to those whose rows say so. `version` pins a Delta table, so that every scan of a
    run reads the same notes. With `changed_only` only those rows of a Delta table are read that
    came after version `changed_since`, at which it was read last; None: it was never read.
    """

    columns: NoteColumns
    path: str | None = None
    table: str | None = None
    format: str = AUTO
    limit: int | None = None
    since: str | None = None
    until: str | None = None
    withdrawn_ids: tuple[str, ...] = field(default=(), repr=False)
    changed_only: bool = False
    changed_since: int | None = None
    version: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether only a part of the notes is read, which may be empty on a quiet day."""
        return self.changed_only or self.since is not None or self.until is not None

    def describe(self) -> str:
        """The source as a user would write it."""
        return self.table or str(self.path)


def resolve_source(spark: SparkSession, source: NoteSource) -> NoteSource:
    """The source with its format found, and a Delta table pinned at its latest version.

    Call it once for each source: finding the format may walk through a folder.

    Raises:
        InputError: nothing is at the path, or no Delta table; the name is not a table's; or the
            format cannot be told.
    """
    source = with_format(source)
    name = delta_name(source)
    if name is None:
        return source
    try:
        history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1")
        latest = history.select("version").first()
    except Exception as error:
        if source.table is not None:
            return source  # a view, a table that is not Delta, or none: reading it will tell
        raise InputError(why_unreadable(source, error)) from None
    return source if latest is None else replace(source, version=latest["version"])


def delta_name(source: NoteSource) -> str | None:
    """The SQL name of a source (with its format found) that may be a Delta table, else None."""
    if source.table is not None:
        return sql_name(source.table)
    if source.path is not None and source.format == "delta":
        # After `delta.`, Spark takes a path that is not absolute for the name of a table.
        place = None if source.path.startswith("file:") else local_path(source.path)
        return f"delta.{quote(str(place or source.path))}"
    return None


def sql_name(table: str) -> str:
    """The quoted name of a table that a user named.

    Raises:
        InputError: the name is not a table's, or it is a path behind a format.
    """
    parts = name_parts(table)
    if len(parts) == 2 and parts[0].lower() in _FORMATS and "/" in parts[1]:
        raise InputError(f"{table} is a path: give --notes {parts[1]} --format {parts[0].lower()}")
    return sql_table(table)


def with_format(source: NoteSource) -> NoteSource:
    """The source with its format found; a table needs none.

    Raises:
        InputError: the format cannot be told.
    """
    if source.path is None or source.format != AUTO:
        return source
    return replace(source, format=detect_format(source.path))


def note_ids(spark: SparkSession, ids: Sequence[str]) -> DataFrame:
    """Ids as rows (column `note_id`), each once: as literals they would stand in query plans."""
    return spark.createDataFrame([(i,) for i in dict.fromkeys(ids)], "note_id string")


def csv_files(source: NoteSource) -> tuple[SourceFile, ...]:
    """The files of a resolved CSV source as they are before it is read; none for other formats."""
    if source.path is None or source.format != "csv":
        return ()
    return local_files(find_csv_files(source.path))


def read_notes(spark: SparkSession, source: NoteSource) -> DataFrame:
    """The rows of a source as they are, with `source_files.FILE` if Spark reads them from files.

    These are all rows: the times and the limit of the source are not applied here.

    Raises:
        InputError: nothing is there, it cannot be read as notes, or it has no columns.
    """
    source = with_format(source)
    try:
        load = _load if source.changed_since is None else _load_changes
        rows = load(spark, source)
    except InputError:
        raise
    except Exception as error:  # a broken file raises a bare Java error, not Spark's own
        raise InputError(why_unreadable(source, error)) from None
    if rows.columns == [CORRUPT]:
        raise InputError(
            f"no line of {source.describe()} is a JSON object: JSON Lines hold one note a line, "
            "not spread over several; jq -c '.[]' makes them of a pretty-printed array"
        )
    if not rows.columns:
        raise InputError(f"{source.describe()} holds no notes: give a place that has at least one")
    if FILE in map(str.lower, rows.columns):
        raise InputError(f"the notes have a column {FILE}, which is our own name: rename it")
    if source.table is None and source.format in ("parquet", "json"):
        return with_file(rows)
    return rows


def refuse_missing_columns(spark: SparkSession, source: NoteSource, files: Sequence[str]) -> None:
    """Refuses files that lack the column for the id or for the text.

    Args:
        spark: the session.
        source: one with a path and its format.
        files: those in which no row has an id, or no row has a text. Looking into one takes 0.1 s.

    Raises:
        InputError: a file lacks a column, so its notes would be taken for blank ones.
    """
    for file in sorted(files):
        single = replace(source, path=escape_pattern(file))
        names = {name.lower() for name in _load(spark, single).columns}
        for part in ("note_id", "text"):
            name = getattr(source.columns, part)
            if name.lower() not in names:
                raise InputError(
                    f"the file {file.rsplit('/', 1)[-1]} of {source.describe()} has no column "
                    f"{name!r} for the {part}, but other files have: name it so in all, give "
                    "this file a run of its own, or write nulls where its notes are blank"
                )


def _load(spark: SparkSession, source: NoteSource) -> DataFrame:
    if source.table is not None:
        name = sql_name(source.table)
        if source.version is None:
            return spark.table(name)
        return spark.sql(f"SELECT * FROM {name} VERSION AS OF {source.version}")
    path = str(source.path)
    kind = source.format
    if kind == "delta":
        # Without a version Delta reads the latest.
        options = {} if source.version is None else {"versionAsOf": str(source.version)}
        return spark.read.format("delta").options(**options).load(path)
    if kind == "csv":
        return read_csv(spark, path, corrupt=CORRUPT, whole=source.limit is None)
    # A cluster may be set to skip such files silently; their notes would be lost.
    options = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}
    place = local_path(path)
    if place is not None and (place / "_delta_log").is_dir():
        # Its Parquet files hold deleted and replaced rows, too.
        raise InputError(f"{path} is a Delta table: read it with --format delta or auto")
    options["recursiveFileLookup"] = str(needs_recursion(files_of(spark, path))).lower()
    if kind == "parquet":
        reader = partial(_reader, spark, options)
        return load_parquet(reader, spark_path(path), source.columns.names())
    # Raw control characters inside strings are common in exports; without the option each such
    # row would be lost as a whole.
    options |= {"allowUnquotedControlChars": "true", "columnNameOfCorruptRecord": CORRUPT}
    return spark.read.options(**options).json(spark_path(path))


def _load_changes(spark: SparkSession, source: NoteSource) -> DataFrame:
    """The rows of a pinned Delta table that came after `changed_since`.

    It gives all rows if that cannot be told, because the table was made anew, its change data feed
    was off at some time, or its history is gone. The ledger knows which of them are done.
    """
    since, until = source.changed_since, source.version
    if since is None or until is None or since > until:
        return _load(spark, source)
    if since == until:
        return _load(spark, source).limit(0)
    table = None if source.table is None else sql_name(source.table)
    try:
        changes = read_changes(spark, source.path, table, since, until)
        return net_rows(changes, source.columns.names())
    except Exception as error:
        if error_class(error).startswith("DELTA_"):
            return _load(spark, source)
        raise


def _reader(spark: SparkSession, options: Mapping[str, str]) -> DataFrameReader:
    return spark.read.options(**options)


def why_unreadable(source: NoteSource, error: Exception) -> str:
    """The message for an error in reading notes; it shows no value, at most a file's name."""
    known = {
        "PATH_NOT_FOUND": "nothing is there; check --notes",
        "TABLE_OR_VIEW_NOT_FOUND": "there is no such table; check --notes-table",
        "UNABLE_TO_INFER_SCHEMA": "there are no files of that format; check --format",
        "DELTA_TABLE_NOT_FOUND": "it is not a Delta table; check --format",
        "DELTA_MISSING_DELTA_TABLE": "it is not a Delta table; check --format",
        "COLUMN_ALREADY_EXISTS": "two columns have one name but for case; rename one of them",
    }
    name = error_class(error)
    file = unreadable_file(error)
    where = "they cannot be read" if file is None else f"the file {file} cannot be read"
    hint = known.get(name, f"{where} ({name}); check that the files are whole, and run again")
    return f"no notes at {source.describe()}: {hint}"


def unreadable_file(error: Exception) -> str | None:
    """The name of the file that Spark could not read, if its error names one."""
    said = str(error)
    if plain := _PLAIN_FILE.search(said):
        return str(plain[plain.lastindex or 0]).rsplit("/", 1)[-1]
    encoded = _URI_OF_FILE.search(said)
    return None if encoded is None else unquote(encoded[1]).rsplit("/", 1)[-1]
