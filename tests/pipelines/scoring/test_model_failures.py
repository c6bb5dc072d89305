"""Notes that kill, hang or break the model: found, quarantined, released; all others are done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.display.show_run import summary_rows
from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.run.run_plan import RunPlan
from pipelines.source.note_columns import NoteColumns
from pipelines.tables.definitions import ENTITIES, PROCESSED_NOTES, QUARANTINED_NOTES, Table
from pipelines.upkeep.note_release import release_notes
from pipelines.upkeep.table_maintenance import Retention, drop_predictions
from pipelines.verification.table_verification import open_for_checks, verify_tables
from tests.support.moody_model import MoodyEngine
from tests.support.run_plans import plan_of

NOTES = {
    "fine": "Takes aspirin.",
    "kills": "Takes heparin.\n\nPlease kill the worker.",
    "hangs": "Please hang for ever, warfarin.",
    "raises": "Please raise an error.",
    "also fine": "Takes heparin.",
}


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    path = tmp_path / "notes.jsonl"
    lines = [json.dumps({"note_id": i, "text": text}) for i, text in NOTES.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return plan_of(
        path, tmp_path / "root", MoodyEngine(Path("."), "f1", hang_seconds=3), NoteColumns()
    )


@pytest.mark.whole
@pytest.mark.both_lanes
def test_notes_that_break_the_model_are_quarantined_and_all_others_done(
    spark, plan: RunPlan, fake_engine, capfd
) -> None:
    def rows(table: Table) -> list:
        return plan.root.read(spark, table).collect()

    record = run_extraction(spark, plan, Progress())
    assert (record.status, record.notes, record.quarantined_notes) == ("done", 2, 3)
    assert {r.note_id for r in rows(PROCESSED_NOTES)} == {"fine", "also fine"}
    assert sorted((r.note_id, r.text) for r in rows(ENTITIES)) == [
        ("also fine", "heparin"),
        ("fine", "aspirin"),
    ]
    refused = {r.note_id: (r.rule, r.detail) for r in rows(QUARANTINED_NOTES)}
    assert refused == {
        "kills": ("model_failure", "the model failed: died on the window at 16-39"),
        "hangs": ("model_failure", "the model failed: hung on the window at 0-31"),
        "raises": ("model_failure", "the model failed: ValueError on the window at 0-22"),
    }
    assert ("  quarantined", "3") in summary_rows(record)
    tables, _ = open_for_checks(spark, plan.root)
    assert not [finding for finding in verify_tables(tables) if finding.is_violation]
    said = capfd.readouterr()
    assert "warfarin" not in said.out + said.err

    # What is known to break the model is not scored again, nor forgotten with old predictions.
    assert drop_predictions(spark, plan.root, Retention(unused=True)) == 0
    again = run_extraction(spark, replace(plan, engine=None), Progress())
    assert (again.quarantined_notes, again.unchanged_notes, again.scored_windows) == (3, 2, 0)
    assert len(rows(QUARANTINED_NOTES)) == 3

    # After a mend they are released, and done.
    release = release_notes(spark, plan.root, ("model_failure",))
    assert (release.rows, release.failures) == ({"model_failure": 3}, 3)
    assert not rows(QUARANTINED_NOTES)
    mended = run_extraction(spark, replace(plan, engine=fake_engine), Progress())
    assert (mended.notes, mended.quarantined_notes, mended.scored_windows) == (5, 0, 3)
    assert {r.note_id for r in rows(PROCESSED_NOTES)} == set(NOTES)
    assert release_notes(spark, plan.root, ()).rows == {}
