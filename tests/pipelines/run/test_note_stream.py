"""A Delta table of notes as a stream: the same rows as by runs, amended and withdrawn notes too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.progress import Progress
from pipelines.run.note_stream import run_stream
from pipelines.run.run_plan import RunPlan
from pipelines.run.run_record import RunRecord
from pipelines.source.note_columns import NoteColumns
from pipelines.source.note_source import NoteSource
from pipelines.tables.definitions import ENTITIES
from pipelines.tables.table_root import TableRoot
from tests.support.run_plans import plan_of
from udfs.errors import InputError, PredictionError

COLUMNS = NoteColumns(details={"storetime": ("storetime",)}, withdrawn="gone")
KINDS = "note_id string, text string, storetime timestamp, gone boolean"


@pytest.fixture
def plan(spark, tmp_path: Path, fake_engine) -> RunPlan:
    path = str(tmp_path / "notes")
    spark.sql(
        f"CREATE TABLE delta.`{path}` ({KINDS}) USING delta "
        "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    )
    return plan_of(path, tmp_path / "root", fake_engine, COLUMNS)


def test_over_spark_connect_it_is_refused(
    spark, plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.run.note_stream.is_remote", lambda: True)
    with pytest.raises(InputError, match="--changed-only"):
        stream(spark, plan)


def add(spark, plan: RunPlan, *notes: tuple[str, str]) -> None:
    rows = spark.createDataFrame([(i, text, None, False) for i, text in notes], KINDS)
    rows.write.format("delta").mode("append").save(plan.source.path)


def stream(spark, plan: RunPlan, checkpoint: str | None = None) -> list[RunRecord]:
    records: list[RunRecord] = []
    run_stream(spark, plan, checkpoint, Progress(), records.append)
    return records


def mentions(spark, plan: RunPlan) -> set[tuple[str, str]]:
    rows = plan.root.read(spark, ENTITIES).select("note_id", "text").collect()
    return {(row.note_id, row.text) for row in rows}


@pytest.mark.whole
@pytest.mark.both_lanes
def test_a_stream_takes_up_what_came_since(spark, plan: RunPlan) -> None:
    name = f"delta.`{plan.source.path}`"
    add(spark, plan, ("a", "aspirin"), ("b", "heparin"), ("c", "warfarin"))
    assert [r.rows_read for r in stream(spark, plan)] == [3]
    assert stream(spark, plan) == []
    add(spark, plan, ("d", "insulin"))
    spark.sql(f"UPDATE {name} SET text = 'lisinopril' WHERE note_id = 'a'")
    spark.sql(f"UPDATE {name} SET gone = true WHERE note_id = 'b'")
    wanted = {("a", "lisinopril"), ("c", "warfarin"), ("d", "insulin")}

    def fails(windows):
        raise PredictionError("no engine today")

    # A run that fails is tried again with the same rows.
    with pytest.raises(PredictionError, match="no engine today"):
        stream(spark, replace(plan, engine=fails))
    done = stream(spark, plan)
    assert sum(r.worked_notes for r in done) == 2
    assert mentions(spark, plan) == wanted
    # A checkpoint that is lost, or older than the tables, costs a look at the notes and no more.
    elsewhere = f"{plan.root.path}-checkpoints"
    again = stream(spark, plan, elsewhere)
    assert sum(r.worked_notes for r in again) == 0
    assert sum(r.scored_windows or 0 for r in again) == 0
    assert mentions(spark, plan) == wanted
    # Tables that were made anew are filled again, although the checkpoint's place is the same.
    anew = replace(plan, root=TableRoot.at(f"{plan.root.path}-2", None))
    stream(spark, anew, elsewhere)
    assert mentions(spark, anew) == wanted


@pytest.mark.whole
@pytest.mark.both_lanes
def test_what_is_no_stream_of_changes_is_refused(spark, plan: RunPlan, tmp_path: Path) -> None:
    add(spark, plan, ("a", "aspirin"))
    for change in ({"limit": 1}, {"since": "2150-01-01"}, {"changed_only": True}):
        with pytest.raises(InputError, match="takes no limit"):
            stream(spark, replace(plan, source=replace(plan.source, **change)))
    (tmp_path / "notes.jsonl").write_text('{"note_id": "a", "text": "x"}')
    file = NoteSource(COLUMNS, path=str(tmp_path / "notes.jsonl"))
    with pytest.raises(InputError, match="no Delta table"):
        stream(spark, replace(plan, source=file))
    spark.sql(
        f"ALTER TABLE delta.`{plan.source.path}` "
        "SET TBLPROPERTIES (delta.enableChangeDataFeed = false)"
    )
    with pytest.raises(InputError, match=r"ALTER TABLE .* true"):
        stream(spark, plan)
    assert not Path(str(plan.root.path)).exists()
