"""The job that invents notes: a Delta table, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.make_notes import main
from udfs.benchmark.invented_notes import NotePlan


@pytest.mark.whole
def test_notes_are_written_once(spark, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--output", str(tmp_path / "notes"), "--notes", "60", "--days", "3", "--seed", "7"]
    assert main(arguments) == 0
    assert "60 notes of 3 days" in capsys.readouterr().out
    rows = spark.read.format("delta").load(str(tmp_path / "notes")).orderBy("note_id").collect()
    plan = NotePlan(notes=60, days=3, seed=7)
    assert [(row.note_id, row.text) for row in rows] == [
        (note.note_id, note.text) for note in map(plan.note, range(60))
    ]
    assert [str(row.storetime.date()) for row in rows[::20]] == [
        "2150-01-01",
        "2150-01-02",
        "2150-01-03",
    ]
    # What is there is never replaced, and the text of notes stands in no statistics.
    assert main(arguments) == 2
    assert "there is a table already" in capsys.readouterr().err
    log = (tmp_path / "notes" / "_delta_log" / "00000000000000000000.json").read_text()
    assert "pulse" not in log


@pytest.mark.parametrize(
    "wrong",
    [["--notes", "0"], ["--notes", "3", "--days", "4"], ["--notes", "3", "--copied", "1"]],
    ids=" ".join,
)
def test_impossible_numbers_are_refused(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--output", str(tmp_path / "notes"), *wrong]) == 2
    assert wrong[-1] in capsys.readouterr().err
