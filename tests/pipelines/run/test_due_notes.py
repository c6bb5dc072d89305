"""Which notes a run works on, day after day: amended, late, withdrawn, of a time, changed only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import schemas
from pipelines.progress import Progress
from pipelines.run import note_writing, run_lease
from pipelines.run.extraction_run import run_extraction
from pipelines.run.run_input import open_input
from pipelines.run.run_plan import RunPlan
from pipelines.run.run_record import RunRecord
from pipelines.source.note_columns import NoteColumns
from pipelines.source.note_source import NoteSource
from pipelines.tables.definitions import ENTITIES, NOTE_WINDOWS, PROCESSED_NOTES, RUNS
from pipelines.tables.row_writes import append_rows, update_rows
from pipelines.upkeep.note_release import release_notes
from pipelines.verification.table_verification import open_for_checks, verify_tables
from tests.support.run_plans import KEY, plan_of
from udfs.errors import InputError

DETAILS = {name: (name,) for name in schemas.NOTE_DETAILS}
COLUMNS = NoteColumns(details=DETAILS, withdrawn="gone")
Note = tuple[str, str, str | None, bool]


@pytest.fixture
def plan(tmp_path: Path, fake_engine) -> RunPlan:
    return plan_of(tmp_path / "notes.jsonl", tmp_path / "root", fake_engine, COLUMNS)


def run(spark, plan: RunPlan, notes: Sequence[Note], **source: object) -> RunRecord:
    """A run over a file with only these notes: `note_id, text, storetime, gone`."""
    lines = [
        json.dumps({"note_id": i, "text": text, "storetime": time, "gone": gone})
        for i, text, time, gone in notes
    ]
    Path(str(plan.source.path)).write_text("\n".join(lines), encoding="utf-8")
    plan = replace(plan, source=replace(plan.source, **source))
    return run_extraction(spark, plan, Progress())


def found(spark, plan: RunPlan) -> dict[str, str]:
    """The mentions of each note in the ledger."""
    entities = plan.root.read(spark, ENTITIES).select("note_id", "text").collect()
    by_note = {row.note_id: row.text for row in entities}
    assert len(by_note) == len(entities)  # these notes have one mention at most
    ledger = plan.root.read(spark, PROCESSED_NOTES).select("note_id").collect()
    assert by_note.keys() <= {row.note_id for row in ledger}
    return {row.note_id: by_note.get(row.note_id, "") for row in ledger}


@pytest.mark.whole
@pytest.mark.both_lanes
def test_days_in_any_order_leave_the_latest_text_of_each_note(spark, plan: RunPlan) -> None:
    run(
        spark,
        plan,
        [
            ("amended", "insulin", "2150-01-02", False),
            ("no time", "aspirin", None, False),
            ("taken back", "heparin", "2150-01-02", False),
            ("kept", "warfarin", "2150-01-03", False),
            ("corrected", "heparin", "2150-01-01", True),
            ("corrected", "warfarin", "2150-01-01", False),
        ],
    )
    before = found(spark, plan)
    assert before == {
        "amended": "insulin",
        "no time": "aspirin",
        "taken back": "heparin",
        "kept": "warfarin",
        "corrected": "warfarin",
    }
    record = run(
        spark,
        plan,
        [
            ("amended", "a late original: penicillin", "2150-01-01", False),
            ("no time", "amended: lisinopril", None, False),
            ("taken back", "heparin", "2150-01-02", True),
            ("kept", "an older row that was withdrawn", "2150-01-01", True),
            ("never seen", "aspirin", "2150-01-01", True),
        ],
    )
    assert (record.withdrawn_notes, record.removed_notes, record.worked_notes) == (3, 1, 1)
    after = before | {"no time": "lisinopril"}
    del after["taken back"]
    assert found(spark, plan) == after

    # A null sorts first; a note that is listed goes whatever its rows say, and from all tables.
    rows = [
        ("amended", "no time: penicillin", None, False),
        ("kept", "warfarin", "2150-01-09", False),
    ]
    record = run(spark, plan, rows, withdrawn_ids=("kept", "corrected", "of nobody"))
    assert (record.withdrawn_notes, record.removed_notes, record.worked_notes) == (1, 2, 0)
    assert found(spark, plan) == {"amended": "insulin", "no time": "lisinopril"}
    windows = plan.root.read(spark, NOTE_WINDOWS)
    assert {row.note_id for row in windows.collect()} == {"amended", "no time"}
    tables, _ = open_for_checks(spark, plan.root)
    assert not [finding for finding in verify_tables(tables) if finding.is_violation]


@pytest.mark.whole
def test_a_text_that_comes_again_makes_its_note_newer(spark, plan: RunPlan) -> None:
    days = [f"2150-01-0{day}" for day in range(1, 10)]
    run(spark, plan, [("a", "insulin", days[4], False), ("b", "heparin", None, False)])
    record = run(spark, plan, [("a", "insulin", days[8], False), ("b", "heparin", days[3], False)])
    assert (record.worked_notes, record.unchanged_notes) == (0, 2)
    late = [("a", "aspirin", days[6], False), ("b", "aspirin", days[2], False)]
    assert run(spark, plan, late).worked_notes == 0
    assert found(spark, plan) == {"a": "insulin", "b": "heparin"}
    # The note itself was done when it was.
    stamps = plan.root.read(spark, PROCESSED_NOTES).select("run_id").distinct()
    assert stamps.count() == 1


@pytest.mark.whole
def test_what_a_dead_run_had_begun_is_mended_whatever_the_next_run_is_asked_for(
    spark, plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The amendment, or the withdrawal, is taken back before the run could be repeated."""
    day = "2150-01-01"
    first = [("amended", "insulin", day, False), ("taken back", "heparin", day, False)]
    run(spark, plan, first)
    before = found(spark, plan)
    with monkeypatch.context() as patch:
        dies_before(patch, "replace_notes", 3)  # that of the ledger
        with pytest.raises(ZeroDivisionError):
            run(spark, plan, [("amended", "aspirin", day, False)])
    with monkeypatch.context() as patch:
        dies_before(patch, "delete_rows", 3)
        with pytest.raises(ZeroDivisionError):
            run(spark, plan, [("taken back", "heparin", day, True)])
    record = run(spark, plan, first)
    assert record.worked_notes == 2
    assert found(spark, plan) == before
    tables, _ = open_for_checks(spark, plan.root)
    assert not [finding for finding in verify_tables(tables) if finding.is_violation]
    assert run(spark, plan, first).worked_notes == 0


def dies_before(patch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """The run dies before the n-th write of a kind."""
    write, calls = getattr(note_writing, name), []

    def dying(*arguments: object) -> None:
        calls.append(name)
        if len(calls) == number:
            raise ZeroDivisionError
        write(*arguments)

    patch.setattr(note_writing, name, dying)


@pytest.mark.whole
def test_a_run_that_waited_reads_what_came_meanwhile(
    spark, plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would write the older text of a note over what the run before it wrote."""
    run(spark, plan, [("a", "insulin", None, False)])
    elsewhere = spark.sql(
        "SELECT 'other' run_id, 'running' status, 'elsewhere:1' holder, now() heartbeat"
    )
    mine = plan.root.read(spark, RUNS)
    columns = [c for c in mine.columns if c not in elsewhere.columns]
    append_rows(plan.root, RUNS, mine.select(*columns).crossJoin(elsewhere))
    file = Path(str(plan.source.path))

    def pause() -> None:
        file.write_text(file.read_text().replace("heparin", "warfarin"))
        ended = spark.createDataFrame([("other", "done")], "run_id string, status string")
        update_rows(spark, plan.root, RUNS, ended, "run_id")

    monkeypatch.setattr(run_lease, "_pause", pause)
    record = run(spark, plan, [("a", "heparin", None, False)])
    assert (record.status, record.worked_notes) == ("done", 1)
    assert found(spark, plan) == {"a": "warfarin"}


def test_only_rows_of_a_time_are_read_and_those_without_one(spark, tmp_path: Path) -> None:
    notes = [
        ("before", "2150-01-01T23:59:59"),
        ("first", "2150-01-02T00:00:00"),
        ("last", "2150-01-02T23:59:59"),
        ("after", "2150-01-03T00:00:00"),
        ("no time", None),
    ]
    path = tmp_path / "notes.jsonl"
    lines = (json.dumps({"note_id": i, "text": "aspirin", "storetime": time}) for i, time in notes)
    path.write_text("\n".join(lines), encoding="utf-8")

    def read(**part: object) -> set[str]:
        source = NoteSource(NoteColumns(details=DETAILS), path=str(path), **part)
        with open_input(spark, source, KEY, 1000) as given:
            rows = {row.note_id for row in given.rows.select("note_id").collect()}
            assert given.counts.rows_read == len(rows)
            return rows

    day = {"since": "2150-01-02 00:00:00", "until": "2150-01-03 00:00:00"}
    assert read(**day) == {"first", "last", "no time"}
    assert read(since="2150-01-03 00:00:00", limit=5) == {"after", "no time"}
    # A day on which nothing came is fine, a source without any note is not.
    path.write_text(json.dumps({"note_id": "a", "text": "b", "storetime": "2150-01-01T00:00:00"}))
    assert read(**day) == set()
    path.write_text("")
    with pytest.raises(InputError, match="holds no notes"):
        read()


@pytest.mark.whole
@pytest.mark.both_lanes
def test_only_what_changed_in_a_delta_table_is_read(spark, plan: RunPlan, tmp_path: Path) -> None:
    table = str(tmp_path / "notes")
    name = f"delta.`{table}`"
    spark.sql(
        f"CREATE TABLE {name} (note_id string, text string, storetime timestamp, gone boolean, "
        "other int) USING delta TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    )
    columns = "note_id string, text string, storetime timestamp, gone boolean, other int"

    def add(*notes: tuple[str, str]) -> None:
        rows = spark.createDataFrame([(i, text, None, False, 1) for i, text in notes], columns)
        rows.write.format("delta").mode("append").save(table)

    source = replace(plan.source, path=table, changed_only=True)
    changes = replace(plan, source=source)
    add(("a", "aspirin"), ("b", "heparin"), ("c", "warfarin"))
    assert run_extraction(spark, changes, Progress()).rows_read == 3  # no run to go on from
    assert run_extraction(spark, changes, Progress()).rows_read == 0

    add(("d", "insulin"), ("short-lived", "aspirin"))
    spark.sql(f"UPDATE {name} SET text = 'lisinopril' WHERE note_id = 'a'")
    spark.sql(f"UPDATE {name} SET other = 2 WHERE note_id = 'b'")
    spark.sql(f"UPDATE {name} SET gone = true WHERE note_id = 'c'")
    spark.sql(f"DELETE FROM {name} WHERE note_id = 'short-lived'")
    record = run_extraction(spark, changes, Progress())
    assert (record.rows_read, record.worked_notes, record.removed_notes) == (3, 2, 1)
    assert found(spark, plan) == {"a": "lisinopril", "b": "heparin", "d": "insulin"}

    # Other settings and a release of notes begin from the start.
    other = replace(changes, settings_digest="t", max_note_characters=5)
    refusing = run_extraction(spark, other, Progress())
    assert (refusing.rows_read, refusing.quarantined_notes) == (4, 4)
    assert release_notes(spark, plan.root, ()).rows == {"too_long": 4}
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    assert run_extraction(spark, other, Progress()).rows_read == 4
    # Without change data all is read, which costs time and nothing else.
    add(("e", "aspirin"))
    assert run_extraction(spark, other, Progress()).rows_read == 5

    with pytest.raises(InputError, match="changed_only"):
        run(spark, plan, [("a", "aspirin", None, False)], changed_only=True)
