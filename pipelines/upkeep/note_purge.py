"""Removes notes from every table of a root, and the predictions of windows that only they have.

Owns which rows go, and in which order: `entities` is the one table that names the patient of a
note, and `note_windows` the one that leads to predictions, so what is found through a table goes
before it, and `entities` goes last. A purge that died is completed by the same purge. What old
files and logs still hold is `table_files`' business.

Ids travel in rows only: a literal would stand in plans, event logs and commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.run.run_lease import hold_for_upkeep
from pipelines.source.note_source import NoteSource, map_columns, read_notes, resolve_source
from pipelines.tables.definitions import (
    ENTITIES,
    NOTE_WINDOWS,
    PREDICTIONS,
    PROCESSED_NOTES,
    QUARANTINED_NOTES,
    Table,
)
from pipelines.tables.existing_tables import find_tables, refuse_other_columns
from pipelines.tables.row_writes import delete_rows
from pipelines.tables.table_root import TableRoot
from pipelines.upkeep.table_history import (
    count_log_entries,
    count_old_files,
    forget_history,
    vacuum,
)

# In the order in which their rows go.
PURGED = (
    PREDICTIONS,
    NOTE_WINDOWS,
    QUARANTINED_NOTES,
    PROCESSED_NOTES,
    ENTITIES,
)


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """The notes to remove: these, and all of these patients."""

    note_ids: Sequence[str] = ()
    subject_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge found: the rows of each table that go, by its name, and the ids it looked for.

    `notes` are those that stand in a table; `unknown_ids` ids of notes that stand in none.
    """

    rows: Mapping[str, int]
    notes: int
    unknown_ids: int
    unused_predictions: int


@dataclass(frozen=True, slots=True)
class Remains:
    """What a table keeps of its past: files, change data among them, and entries of its log."""

    table: str
    old_files: int
    log_entries: int


def purge_notes(
    spark: SparkSession,
    root: TableRoot,
    request: PurgeRequest,
    source: NoteSource | None = None,
    dry_run: bool = False,
) -> Purge:
    """Removes notes from the tables of a root, or only counts what would go.

    Args:
        spark: the session.
        root: where the tables are.
        request: which notes.
        source: the notes that the tables were made from, to find all notes of a patient: a note
            without an entity stands in no table with its patient.
        dry_run: remove nothing.

    Raises:
        InputError: there are no tables, or the source cannot be read.
        RootBusyError: another run is at work, or keeps committing to the tables.
    """
    tables = find_tables(spark, root)
    if dry_run:
        return _purge(spark, root, tables, request, source, dry_run)
    refuse_other_columns(tables)
    with hold_for_upkeep(spark, root, "purge_notes"):
        return _purge(spark, root, tables, request, source, dry_run)


def _purge(
    spark: SparkSession,
    root: TableRoot,
    tables: Mapping[str, DataFrame],
    request: PurgeRequest,
    source: NoteSource | None,
    dry_run: bool,
) -> Purge:
    ids = _find_notes(spark, tables, request, source)
    notes = spark.createDataFrame([(note_id,) for note_id in ids], "note_id string")
    purge = _count(tables, notes, request)
    if not dry_run:
        for table in PURGED:
            if purge.rows.get(table.name):
                delete_rows(spark, root, table, _keys(tables, table, notes))
    return purge


def _find_notes(
    spark: SparkSession,
    tables: Mapping[str, DataFrame],
    request: PurgeRequest,
    source: NoteSource | None,
) -> list[str]:
    """The ids as values: what names them in the tables is about to go."""
    found = set(request.note_ids)
    if request.subject_ids:
        subjects = spark.createDataFrame([(s,) for s in request.subject_ids], "subject_id long")
        places = [tables["entities"]] if "entities" in tables else []
        if source is not None:
            source = resolve_source(spark, source)
            places.append(map_columns(read_notes(spark, source), source.columns))
        for rows in places:
            own = rows.join(F.broadcast(subjects), on="subject_id", how="left_semi")
            named = own.where("note_id IS NOT NULL").select("note_id").distinct()
            found.update(row["note_id"] for row in named.collect())
    return sorted(found)


def _keys(tables: Mapping[str, DataFrame], table: Table, notes: DataFrame) -> DataFrame:
    """What the rows of a table that go have in common."""
    if table is not PREDICTIONS:
        return notes
    windows = tables["note_windows"]
    own = windows.join(notes, on="note_id", how="left_semi").select("window_hash")
    others = windows.join(notes, on="note_id", how="left_anti").select("window_hash")
    return own.distinct().join(others, on="window_hash", how="left_anti")


def _count(tables: Mapping[str, DataFrame], notes: DataFrame, request: PurgeRequest) -> Purge:
    """Counts everything in one action."""
    counts = []
    for table in PURGED:
        if table.name in tables and (table is not PREDICTIONS or "note_windows" in tables):
            keys = _keys(tables, table, notes)
            rows = tables[table.name].join(keys, on=keys.columns, how="left_semi")
            counts.append(_counted(rows, table.name))
    with_id = [t.select("note_id") for t in tables.values() if "note_id" in t.columns]
    there = notes.join(reduce(DataFrame.unionAll, with_id), on="note_id", how="left_semi")
    counts.append(_counted(there, "notes"))
    given = notes.sparkSession.createDataFrame([(i,) for i in request.note_ids], "note_id string")
    counts.append(_counted(given.distinct().join(there, on="note_id", how="left_anti"), "unknown"))
    if {"predictions", "note_windows"} <= tables.keys():
        used = tables["note_windows"].select("window_hash")
        unused = tables["predictions"].join(used, on="window_hash", how="left_anti")
        counts.append(_counted(unused, "unused"))
    found = {row["name"]: row["rows"] for row in reduce(DataFrame.unionAll, counts).collect()}
    return Purge(
        rows={table.name: found.get(table.name, 0) for table in PURGED},
        notes=found["notes"],
        unknown_ids=found["unknown"],
        unused_predictions=found.get("unused", 0),
    )


def _counted(rows: DataFrame, name: str) -> DataFrame:
    return rows.agg(F.lit(name).alias("name"), F.count(F.lit(1)).alias("rows"))


def find_remains(spark: SparkSession, root: TableRoot) -> list[Remains]:
    """What the tables still keep of removed rows: nothing where both counts are 0."""
    tables = find_tables(spark, root)
    return [
        Remains(t.name, count_old_files(spark, root, t), count_log_entries(spark, root, t))
        for t in PURGED
        if t.name in tables
    ]


def remove_remains(spark: SparkSession, root: TableRoot) -> list[Remains]:
    """Removes old files, change data and log entries; nobody may read the tables meanwhile.

    Returns:
        what stays: entries of the log that Delta does not remove before tomorrow.

    Raises:
        RootBusyError: a run is at work.
    """
    tables, remains = find_tables(spark, root), []
    with hold_for_upkeep(spark, root, "purge_notes"):
        for table in PURGED:
            if table.name in tables:
                vacuum(spark, root, table, hours=0)
                entries = forget_history(spark, root, table)
                remains.append(Remains(table.name, count_old_files(spark, root, table), entries))
    return remains
