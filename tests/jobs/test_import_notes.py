"""The import as a user starts it: exit codes, what it prints, which columns it takes for which."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from jobs.import_notes import build_parser, main, make_plan, summary_rows
from pipelines.imports.note_import import ImportRecord

EVENTS = (
    "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT"
)
NOTES = "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text"


def write(path: Path, *lines: str) -> Path:
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def plan(*arguments: object):
    return make_plan(build_parser().parse_args([str(a) for a in arguments]))


@pytest.mark.whole
def test_events_are_imported_and_the_figures_are_shown(spark, tmp_path: Path, capsys) -> None:
    path = write(
        tmp_path / "NOTEEVENTS.csv.gz",
        EVENTS,
        '1,7,100,2150-01-02,,,"Discharge summary","Report",,,"canary ""one""',
        'and more"',
        '2,7,100,2150-01-02,2150-01-02 08:00:00,,"Nursing","Report",3,1,"canary two"',
        *(f'{row},8,,2150-01-02,,,"Echo","Report",,,"canary"' for row in range(3, 40)),
        "40,canary",
    )
    output = tmp_path / "notes"
    assert main(["--notes", str(path), "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert "canary" not in printed.out + printed.err
    shown = {
        name.strip(): value.strip()
        for line in printed.out.splitlines()
        if line.count("│") == 3
        for _, name, value, _ in [line.split("│")]
    }
    assert shown["rows in the files"] == "40"
    assert (shown["notes written"], shown["rejected"]) == ("39", "1")
    assert shown["wrong_number_of_fields"] == "1"
    assert (shown["marked as errors"], shown["without a charttime"]) == ("1", "38")
    assert shown["and without any date"] == "0"
    assert f"{output}_rejected" in printed.out
    assert spark.read.format("delta").load(str(output)).count() == 39

    assert main(["--notes", str(path), "--output", str(output)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    arguments = ["--notes", str(path), "--output", str(output), "--overwrite"]
    assert main([*arguments, "--max-rejected", "0"]) == 2
    assert "--max-rejected" in capsys.readouterr().err
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("lines", "arguments", "words"),
    [
        (["a,b", "1,2"], [], "the columns a, b are those of 0 presets"),
        (["ROW_ID,TEXT,note_id", "1,2,3"], [], "those of 2 presets"),
        (["note_id,text", "1,2"], ["--preset", "mimic5"], "mimic3, mimic4"),
        (["note_id,text", "1,2"], ["--max-rejected", "2"], "from 0 to 1"),
        (["note_id,text", "1,2"], ["--set", "notes.columns.txet=a"], "notes.columns.txet"),
        (['17,"canary text', 'more"'], [], "does not begin with a header"),
    ],
)
def test_bad_input_ends_with_2_before_spark(
    lines: list[str], arguments: list[str], words: str, tmp_path: Path, capsys
) -> None:
    path = write(tmp_path / "n.csv", *lines)
    assert main(["--notes", str(path), "--output", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and "canary" not in said
    assert not (tmp_path / "out").exists()


def test_missing_notes_end_with_2(tmp_path: Path, capsys) -> None:
    assert main(["--notes", str(tmp_path / "no.csv"), "--output", "x"]) == 2
    assert "nothing is there" in capsys.readouterr().err
    assert main(["--notes", "a.csv", "--output-table", "a.b.c.d"]) == 2
    assert "catalog.schema.table" in capsys.readouterr().err


def test_a_failure_ends_with_1_and_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    words = "canary"[::-1]

    def fail(*arguments: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr("jobs.import_notes.start_session", lambda name: None)
    monkeypatch.setattr("jobs.import_notes.import_notes", fail)
    path = write(tmp_path / "n.csv", "note_id,text", "1,2")
    assert main(["--notes", str(path), "--output", "x"]) == 1
    said = capsys.readouterr().err
    assert "RuntimeError" in said and words not in said


def test_columns_are_told_from_the_header_or_by_the_user(tmp_path: Path) -> None:
    lower = write(tmp_path / "a.csv", EVENTS.lower(), "1")
    told = plan("--notes", lower, "--output", "x").columns
    assert (told.note_id, told.withdrawn) == ("ROW_ID", "ISERROR")
    assert told.details["charttime"] == ("CHARTTIME", "CHARTDATE")
    ours = write(tmp_path / "b.csv", NOTES, "1")
    assert plan("--notes", ours, "--output", "x").columns.text == "text"
    texts = tmp_path / "texts"
    texts.mkdir()
    write(texts / "1.txt", "text")
    assert plan("--notes", texts, "--output", "x").columns.note_id == "note_id"
    own = write(tmp_path / "c.csv", "doc,body,who", "1")
    names = ["note_id=doc", "text=body", "subject_id=who"]
    sets = [word for name in names for word in ("--set", f"notes.columns.{name}")]
    columns = plan("--notes", own, "--output", "x", *sets).columns
    assert (columns.note_id, columns.text) == ("doc", "body")
    assert columns.details["subject_id"] == ("who",)


def test_the_summary_adds_up() -> None:
    record = ImportRecord(
        rows=1_000_010,
        written=1_000_007,
        rejected=(("invalid_utf8", 2), ("no_note_id", 1)),
        unreadable=(("STORETIME", 4),),
        withdrawn=5,
        blank=0,
        without_charttime=6,
        without_time=0,
        characters=9,
        files=8,
    )
    rows = dict(summary_rows(record))
    assert rows["rows in the files"] == rows["notes written"] + rows["rejected"]
    assert rows["rejected"] == rows["  invalid_utf8"] + rows["  no_note_id"] == 3
    assert rows["  STORETIME unreadable, null now"] == 4
