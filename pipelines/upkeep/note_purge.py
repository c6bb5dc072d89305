"""Removes notes from every table of a root, and the predictions of windows that only they have.

Owns which rows are removed, and in which order. Only `entities` names the patient of a note, and
only `note_windows` leads to predictions. So rows that are found through a table are removed before
that table's own rows, and `entities` comes last. The same purge, repeated, completes one that died.
What old files and logs still hold is `table_history`'s business.

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

# In the order in which their rows are removed.
PURGED = (
    PREDICTIONS,
    NOTE_WINDOWS,
    QUARANTINED_NOTES,
    PROCESSED_NOTES,
    ENTITIES,
)


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """The notes to remove: those with these ids, and all notes of these patients."""

    note_ids: Sequence[str] = ()
    subject_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge found.

    `rows` counts the rows to remove from each table, by name. `notes` counts the notes that stand
    in some table, `unknown_ids` the requested note ids that stand in none. `unused_predictions`
    counts predictions of windows that no note has.
    """

    rows: Mapping[str, int]
    notes: int
    unknown_ids: int
    unused_predictions: int


@dataclass(frozen=True, slots=True)
class Remains:
    """What a table keeps of its past: old files, with change data, and entries of its log."""

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
        source: the notes that the tables were made from, to find all notes of a patient: no table
            names the patient of a note without entities.
        dry_run: only count, remove nothing.

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
    """The ids of the notes, as values: the rows that name them in the tables will be removed."""
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
    """The key values of the rows to remove from a table: ids of notes, or hashes of windows."""
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
    """What the tables still keep of removed rows: nothing if both counts are 0."""
    tables = find_tables(spark, root)
    return [
        Remains(t.name, count_old_files(spark, root, t), count_log_entries(spark, root, t))
        for t in PURGED
        if t.name in tables
    ]


def remove_remains(spark: SparkSession, root: TableRoot) -> list[Remains]:
    """Removes old files, change data and log entries; nobody may read the tables meanwhile.

    Returns:
        what remains: entries of the log that Delta does not remove before tomorrow.

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
