"""A purge leaves nothing of the notes in any table and, where asked, in no file and no log."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import schemas
from pipelines.source.note_source import NoteColumns, NoteSource
from pipelines.tables.definitions import (
    ENTITIES,
    NOTE_WINDOWS,
    PREDICTIONS,
    PROCESSED_NOTES,
    TABLES,
    Table,
)
from pipelines.tables.table_root import TableRoot
from pipelines.upkeep import note_purge
from pipelines.upkeep.note_purge import PurgeRequest, find_remains, purge_notes, remove_remains
from pipelines.verification.table_verification import open_for_checks, verify_tables
from udfs.errors import InputError

# As it stands in the statistics of a log entry: JSON inside JSON.
LEAST_ID = r'"note_id\":\"a\"'
COLUMNS = NoteColumns(details={name: (name,) for name in schemas.NOTE_DETAILS})


@pytest.fixture
def root(made_root: Path, tmp_path: Path) -> TableRoot:
    # A blank and an umlaut: names come back from Delta as places of files.
    return TableRoot.at(str(shutil.copytree(made_root / "root", tmp_path / "ein röot")), None)


def ids(spark, root: TableRoot, table: Table) -> list[str]:
    rows = root.read(spark, table).select("note_id").collect()
    return sorted({row["note_id"] for row in rows})


def hashes(spark, root: TableRoot, table: Table, where: str = "true") -> set[str]:
    rows = root.read(spark, table).where(where).select("window_hash").collect()
    return {row["window_hash"] for row in rows}


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder as text: Parquet by its rows, statistics in checkpoints too."""
    for file in folder.rglob("*"):
        name = str(file.relative_to(folder))
        if file.is_file() and ".parquet" not in file.name:
            yield name, file.read_bytes().decode("latin-1")
        elif file.suffix == ".parquet":
            parquet = pq.ParquetFile(file)
            rows = parquet.read().to_pylist()
            yield name, f"{json.dumps(rows, default=str)} {parquet.metadata.metadata}"


def places_of(word: str, root: TableRoot) -> set[str]:
    found = (name for name, text in everything(Path(str(root.path))) if word in text)
    return {
        "log" if "/_delta_log/" in name else "changes" if "/_change_data/" in name else "data"
        for name in found
    }


@pytest.mark.whole
@pytest.mark.both_lanes
def test_a_patient_is_gone_from_tables_files_and_logs(
    spark, root: TableRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = PurgeRequest(subject_ids=(1,))
    planned = purge_notes(spark, root, patient, dry_run=True)
    shared = hashes(spark, root, NOTE_WINDOWS, "note_id IN ('a', 'c')")
    of_c = hashes(spark, root, NOTE_WINDOWS, "note_id = 'c'")
    assert len(shared) == 3 and len(of_c) == 2
    assert planned.rows == {
        "predictions": 3,
        "note_windows": 4,
        "quarantined_notes": 0,
        "processed_notes": 2,
        "entities": 6,
    }
    assert (planned.notes, planned.unknown_ids, planned.unused_predictions) == (2, 0, 1)
    assert ids(spark, root, ENTITIES) == ["a", "b", "c", "d"]

    delete = note_purge.delete_rows

    def die(spark, root, table, keys) -> None:
        if table is PROCESSED_NOTES:
            raise RuntimeError("killed")
        delete(spark, root, table, keys)

    monkeypatch.setattr(note_purge, "delete_rows", die)
    with pytest.raises(RuntimeError):
        purge_notes(spark, root, patient)
    monkeypatch.undo()
    rest = purge_notes(spark, root, patient)
    assert {name: rows for name, rows in rest.rows.items() if rows} == {
        "processed_notes": 2,
        "entities": 6,
    }
    assert ids(spark, root, ENTITIES) == ["c", "d"]
    # The blank note names no patient in any table.
    assert ids(spark, root, PROCESSED_NOTES) == ["blank", "c", "d", "e"]
    assert of_c <= hashes(spark, root, PREDICTIONS)
    tables, _ = open_for_checks(spark, root)
    broken = {f.check.name for f in verify_tables(tables) if f.broken}
    assert broken == {"rows_gone"}  # a warning

    # "Warfarin" stands in a note of the patient alone; "a" is the least id in statistics.
    assert places_of("Warfarin", root) == {"data", "changes"}
    assert "log" in places_of(LEAST_ID, root)
    history = spark.sql(f"DESCRIBE HISTORY {root.sql_name(ENTITIES)}").first()
    assert history["operation"] == "MERGE"
    predicate = history["operationParameters"]["predicate"]
    assert re.fullmatch(r'\["\(note_id#\d+ = note_id#\d+\)"\]', predicate)
    with monkeypatch.context() as patch:
        patch.setattr(note_purge, "PURGED", (ENTITIES,))
        (entities,) = find_remains(spark, root)
    assert entities.table == "entities"
    assert entities.old_files >= 2 and entities.log_entries >= 2
    expected = {t.name: root.read(spark, t).count() for t in TABLES}
    remains = remove_remains(spark, root)
    assert [(r.old_files, r.log_entries) for r in remains] == [(0, 0)] * 5
    assert places_of("Warfarin", root) == places_of(LEAST_ID, root) == set()
    assert {t.name: root.snapshot(spark, t).count() for t in TABLES} == expected
    properties = spark.sql(f"SHOW TBLPROPERTIES {root.sql_name(ENTITIES)}").collect()
    assert not [row for row in properties if "Retention" in row["key"] or "Interval" in row["key"]]
    again = purge_notes(spark, root, patient)
    assert (again.notes, set(again.rows.values())) == (0, {0})


@pytest.mark.whole
def test_all_notes_of_a_patient_are_found_through_the_source(
    spark, root: TableRoot, made_root: Path
) -> None:
    source = NoteSource(COLUMNS, path=str(made_root / "notes.jsonl"))
    third = PurgeRequest(subject_ids=(3,))
    assert purge_notes(spark, root, third, dry_run=True).notes == 0
    found = purge_notes(spark, root, third, source, dry_run=True)
    assert found.notes == 2
    assert {name for name, rows in found.rows.items() if rows} == {
        "predictions",
        "note_windows",
        "quarantined_notes",
        "processed_notes",
    }


@pytest.mark.whole
def test_ids_that_stand_in_no_table_are_counted(spark, root: TableRoot) -> None:
    request = PurgeRequest(note_ids=("d", "long", "d", "never seen"))
    purge = purge_notes(spark, root, request, dry_run=True)
    assert (purge.notes, purge.unknown_ids) == (2, 1)
    assert (purge.rows["quarantined_notes"], purge.rows["entities"]) == (1, 2)


def test_without_tables_nothing_is_done(spark, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tables"):
        purge_notes(spark, TableRoot.at(str(tmp_path), None), PurgeRequest(note_ids=("a",)))
