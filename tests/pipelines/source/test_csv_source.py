"""CSV as a source of the main job: any mapping, exact texts, broken files refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.source.csv_source import record_type
from pipelines.source.note_columns import NoteColumns, map_columns
from pipelines.source.note_formats import detect_format
from pipelines.source.note_selection import judge_notes, with_text_hash
from pipelines.source.note_source import NoteSource, read_notes
from pipelines.tables.definitions import ENTITIES
from tests.support.run_plans import ALL_DETAILS, KEY, plan_of
from udfs.annotation.note_annotation import find_entities
from udfs.errors import InputError
from udfs.reading.source_records import record_schema

NOTE_HEADER = "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text"


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def write_csv(path: Path, header: str, *rows: str, end: str = "\n") -> Path:
    content = "".join(row + end for row in (header, *rows)).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read(spark, path: Path, columns: NoteColumns = ALL_DETAILS, **options: object):
    return map_columns(read_notes(spark, NoteSource(columns, path=str(path), **options)), columns)


def test_the_spark_schema_is_the_arrow_schema() -> None:
    from pyspark.sql.pandas.types import from_arrow_schema

    assert record_type(3) == from_arrow_schema(record_schema(3))


def test_formats_tell_csv(tmp_path: Path) -> None:
    for name in ("NOTEEVENTS.csv.gz", "s3a://bucket/discharge.CSV", "a.csv.bz2"):
        assert detect_format(name) == "csv"
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="jobs/import_notes"):
        detect_format(str(tmp_path))


def test_any_mapping_and_exact_texts(spark, tmp_path: Path) -> None:
    text = 'BP 120/80, "stable".\r\n\r\nNaïve to opioids 😀\n"" end\x00 '
    path = write_csv(
        tmp_path / "export.csv.gz",
        "Body;no,Doc,seen at,who".replace(";no", ""),
        f"{quoted(text)},d1,2150-01-02 03:04:05,7",
        ",d2,,",
        end="\r\n",
    )
    columns = NoteColumns("doc", "body", {"charttime": ("seen at",), "subject_id": ("who",)})
    first, second = read(spark, path, columns).orderBy("note_id").collect()
    assert (first.note_id, first.text, first.subject_id) == ("d1", text, 7)
    assert str(first.charttime) == "2150-01-02 03:04:05"
    # An empty field is null: no time is lost by it.
    assert (second.text, second.charttime, second.details_lost) == (None, None, False)


def test_bad_rows_are_quarantined_without_text_and_a_broken_file_is_refused(
    spark, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "n.csv", "note_id,text", "a,fine", "b,canary,canary", ",canary")
    with path.open("ab") as file:
        file.write(b"c,canary caf\xe9\n")
    notes = with_text_hash(spark, read(spark, path), KEY)
    rows = judge_notes(notes, 1000).select("note_id", "corrupt", "rule", "text_hash").collect()
    assert sorted((r.note_id, r.rule) for r in rows if r.note_id) == [("a", None)]
    assert sorted(r.rule for r in rows if r.rule) == ["no_note_id"] + ["unreadable_row"] * 2
    why = {r.corrupt for r in rows if r.rule == "unreadable_row"}
    assert why == {
        "wrong_number_of_fields, line 3 of n.csv: 3 fields, the header has 2",
        "invalid_utf8, line 5 of n.csv: the bytes are not UTF-8",
    }
    assert len({r.text_hash for r in rows}) == 4
    write_csv(path, "note_id,text", "a,fine", 'b,"canary', 'c,"canary"')
    with pytest.raises(InputError, match="from row 2 on, which begins in line 3") as told:
        read(spark, path)
    assert "canary" not in str(told.value)
    # A trial of few notes does not read the whole file.
    assert read(spark, path, limit=1).first().note_id == "a"


def test_a_folder_of_files_with_one_header(spark, tmp_path: Path) -> None:
    for name in ("discharge.csv", "radiology.csv.gz", "_skipped.csv"):
        write_csv(tmp_path / name, NOTE_HEADER, f"{name},1,,DS,1,2150-01-01,,text")
    notes = read(spark, tmp_path)
    assert {r.note_id for r in notes.collect()} == {"discharge.csv", "radiology.csv.gz"}
    assert notes.rdd.getNumPartitions() >= 2
    write_csv(tmp_path / "other.csv", "note_id,text", "x,y")
    with pytest.raises(InputError, match="different columns"):
        read(spark, tmp_path)


@pytest.mark.parametrize(
    ("path", "words"),
    [("s3a://bucket/n.csv", "on a disk"), ("nowhere.csv", "nothing is there")],
)
def test_places_that_cannot_be_read(spark, path: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(spark, Path(path) if ":" not in path else path)


@pytest.mark.whole
@pytest.mark.both_lanes
def test_a_run_over_csv_places_every_entity_in_the_exact_text(
    spark, tmp_path: Path, samples: Path, fake_engine, fake_classifier
) -> None:
    """Samples as MIMIC-IV would ship them, against what one note alone gives in plain Python."""
    notes = [json.loads(line) for line in samples.read_text().splitlines()][:6]
    notes[0]["text"] = notes[0]["text"].replace("\n", "\r\n")
    path = write_csv(
        tmp_path / "discharge.csv.gz",
        NOTE_HEADER,
        *(
            ",".join(quoted(str(note.get(name) or "")) for name in NOTE_HEADER.split(","))
            for note in notes
        ),
    )
    plan = plan_of(path, tmp_path / "root", fake_engine, partitions=2)
    record = run_extraction(spark, plan, Progress())
    assert (record.notes, record.quarantined_notes, record.notes_with_lost_details) == (6, 0, 0)
    rows = plan.root.read(spark, ENTITIES).collect()
    expected = {
        (note["note_id"], s.begin, s.end, note["text"][s.begin : s.end], note["subject_id"])
        for note in notes
        for s in find_entities(note["text"], fake_classifier)
    }
    assert {(r.note_id, r.begin, r.end, r.text, r.subject_id) for r in rows} == expected
    assert len(rows) == len(expected) > 50
