"""The summary of a run says what its record says, and the query in it runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from jobs.display.show_run import ConsoleProgress, example_query, show_summary, summary_rows
from pipelines.run.run_record import RunRecord
from pipelines.tables.table_root import TableRoot

RECORD = RunRecord(
    run_id="0123456789",
    start=datetime(2026, 1, 1, tzinfo=UTC),
    status="done",
    input="notes",
    settings_digest="",
    code_version="0",
    model="m",
    model_fingerprint="",
    pipeline_fingerprint="",
    rows_read=1012,
    notes=1010,
    quarantined_notes=2,
    unchanged_notes=10,
    windows=5000,
    wordpieces=60_000,
    scored_wordpieces=30_000,
    entities=7,
    labels=(("Chemical", 4), ("Disease", 3)),
    seconds=100.0,
    inference_seconds=10.0,
)


def test_the_summary_accounts_for_every_row() -> None:
    rows = dict(summary_rows(RECORD))
    assert rows["rows read"] == "1,012"
    assert rows["  quarantined"] == "2"
    assert rows["  done in this run"] == "1,000"
    assert (rows["  Chemical"], rows["  Disease"]) == ("4", "3")
    assert rows["time"] == "1 min 40 s, 10.0 notes/s"
    assert rows["scoring speed"] == "3,000 word-pieces/s"
    assert "  repeated" not in rows
    assert "no column in the notes for" not in rows
    misspelt = replace(RECORD, missing_details=("subject_id", "hadm_id"))
    assert dict(summary_rows(misspelt))["no column in the notes for"] == "subject_id, hadm_id"


def test_the_summary_names_tables_and_a_query(capsys) -> None:
    root = TableRoot.at("/somewhere/with `ticks`", None)
    show_summary(RECORD, root)
    printed = capsys.readouterr().out
    assert "delta.`/somewhere/with ``ticks``/entities`" in printed
    assert "predictions" in printed


def test_progress_in_a_log_is_one_line_a_step(capsys) -> None:
    with ConsoleProgress() as progress:
        progress.step("scoring windows")
        progress.scored(500, 1000)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("] ")[1][:15] for line in lines] == ["scoring windows", "scoring windows"]
    assert "500 of 1,000 new characters" in lines[1]


def test_the_example_query_runs(spark) -> None:
    from pipelines.tables.definitions import ENTITIES

    spark.createDataFrame([], ENTITIES.schema).createOrReplaceTempView("shown_entities")
    query = example_query(TableRoot.at(None, "s")).replace("`s`.`entities`", "shown_entities")
    assert spark.sql(query).columns == ["entity_type", "mention", "notes"]
