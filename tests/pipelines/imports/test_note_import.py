"""MIMIC's files, invented in exactly their shapes, into Delta: all or nothing."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.imports import note_import
from pipelines.imports.import_records import find_notes
from pipelines.imports.import_tables import ImportTarget, TableShape, lay_out, write_table
from pipelines.imports.note_import import ImportPlan, import_notes
from pipelines.progress import Progress
from pipelines.source.note_columns import NoteColumns, map_columns
from pipelines.source.note_selection import judge_notes
from pipelines.source.note_source import NoteSource, read_notes
from udfs.errors import ClinspanError, InputError

EVENTS = (
    "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT"
)
NOTES = "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text"
MIMIC3 = NoteColumns(
    "ROW_ID",
    "TEXT",
    {
        "subject_id": ("SUBJECT_ID",),
        "hadm_id": ("HADM_ID",),
        "note_type": ("CATEGORY",),
        "charttime": ("CHARTTIME", "CHARTDATE"),
        "storetime": ("STORETIME",),
    },
    withdrawn="ISERROR",
)
MIMIC4 = NoteColumns(details={name: (name,) for name in schemas.NOTE_DETAILS})


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def event_rows(count: int, seed: int = 1) -> Iterator[str]:
    """Rows of a NOTEEVENTS.csv: names and texts in quotes, numbers and times bare, most times
    absent, one row in forty marked as an error.
    """
    rnd = random.Random(seed)
    words = ["Pt denies pain,", 'said "no"', "[**2150-1-2**]", "naïve", "5 mg\tpo", "", "K 4.1"]
    for row in range(1, count + 1):
        day = f"21{rnd.randrange(10, 60)}-0{rnd.randrange(1, 10)}-1{rnd.randrange(10)}"
        nursing = rnd.random() < 0.3
        time = f"{day} 08:1{rnd.randrange(10)}:00" if nursing else ""
        text = "\n".join(rnd.choice(words) for _ in range(rnd.randrange(1, 6))) + "\n"
        yield (
            f"{row},{rnd.randrange(1, 900)},{100_000 + row if row % 3 else ''},{day},{time},"
            f'{time},{quoted("Nursing/other" if nursing else "Discharge summary")},"Report",'
            f"{15_000 + row % 50 if nursing else ''},{1 if row % 40 == 0 else ''},{quoted(text)}"
        )


def write_csv(path: Path, header: str, *rows: str, end: str = "\n") -> Path:
    content = (header + end + "".join(row + end for row in rows)).encode()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def by_python(path: Path) -> list[dict[str, str]]:
    """The oracle: what Python's reader finds in a whole file in memory."""
    content = gzip.decompress(path.read_bytes()).decode()
    return list(csv.DictReader(io.StringIO(content, newline="")))


def plan_of(path: Path, columns: NoteColumns = MIMIC3, **changes: object) -> ImportPlan:
    target = ImportTarget.at(str(path.parent / "table"), None)
    return replace(ImportPlan(find_notes([str(path)]), columns, target), **changes)


def table(spark, plan: ImportPlan, suffix: str = ""):
    return spark.table(plan.target.sql_name(suffix))


def test_events_arrive_with_exact_texts_types_and_figures(spark, tmp_path: Path) -> None:
    crlf = f'9001,1,,2150-01-02,,,"Echo","Report",,,{quoted(chr(13) + chr(10) + "a b" + chr(0))}'
    path = write_csv(tmp_path / "NOTEEVENTS.csv.gz", EVENTS, *event_rows(400), crlf, end="\r\n")
    plan = plan_of(path)
    record = import_notes(spark, plan, Progress())
    expected = by_python(path)
    errors = sum(row["ISERROR"] == "1" for row in expected)
    untimed = sum(row["CHARTTIME"] == "" for row in expected)
    assert (record.rows, record.written, record.rejected) == (401, 401, ())
    assert (record.withdrawn, record.without_charttime) == (errors, untimed) == (10, untimed)
    assert (record.without_time, record.unreadable) == (0, ())
    assert record.characters == sum(len(row["TEXT"]) for row in expected)

    notes = table(spark, plan)
    kinds = dict(notes.dtypes)
    assert list(kinds) == EVENTS.split(",")
    assert {kinds[n] for n in ("ROW_ID", "SUBJECT_ID", "HADM_ID", "CGID")} == {"bigint"}
    assert (kinds["CHARTDATE"], kinds["CHARTTIME"], kinds["TEXT"]) == (
        "date",
        "timestamp",
        "string",
    )
    found = {str(r.ROW_ID): r for r in notes.collect()}
    assert {i: r.TEXT for i, r in found.items()} == {r["ROW_ID"]: r["TEXT"] for r in expected}
    for row in expected:
        mine = found[row["ROW_ID"]]
        for name in ("SUBJECT_ID", "HADM_ID", "CHARTDATE", "CHARTTIME", "CGID", "ISERROR"):
            assert str(mine[name] if mine[name] is not None else "") == row[name]

    # The main job reads it with the preset's columns, and the date stands in for the time.
    source = NoteSource(MIMIC3, path=plan.target.path)
    mapped = judge_notes(map_columns(read_notes(spark, source), MIMIC3), 1000)
    assert mapped.where("rule IS NOT NULL OR charttime IS NULL OR details_lost").count() == 0
    assert mapped.where("withdrawn").count() == errors


def test_no_text_in_the_log_and_files_that_can_be_skipped(spark, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "e.csv", EVENTS, *event_rows(3000))
    size = path.stat().st_size
    plan = plan_of(path, bytes_per_file=size // 16)
    assert import_notes(spark, plan, Progress()).files > 10
    log = Path(plan.target.path, "_delta_log")
    entries = [json.loads(line) for f in log.glob("*.json") for line in f.read_text().splitlines()]
    assert "denies" not in str(entries)
    assert "clustering" in str(entries)
    stats = [json.loads(e["add"]["stats"]) for e in entries if "add" in e]
    assert sum(s["numRecords"] for s in stats) == 3000

    def read_for(column: str, value: object) -> int:
        """Files that a query for one value must open."""
        ranges = [(s["minValues"][column], s["maxValues"][column]) for s in stats]
        return sum(low <= value <= high for low, high in ranges)

    assert read_for("SUBJECT_ID", 450) <= len(stats) * 0.6
    assert read_for("CHARTDATE", "2130-05-10") <= len(stats) * 0.6


def test_rows_that_cannot_be_read_are_counted_and_placed(spark, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "discharge.csv",
        NOTES,
        'a,1,2.0,DS,3,2150-01-02 03:04:05,,"two\nlines"',
        "b,1,canary",
        "c,x,,DS,4,canary,,canary",
        ",1,,DS,5,,,canary",
    )
    with path.open("ab") as file:
        file.write(b'd,1,,DS,6,,,"caf\xe9 canary"\ne,1,,DS,7,,,\n')
    plan = plan_of(path, MIMIC4)
    with pytest.raises(InputError, match="3 of 6 rows cannot be read") as told:
        import_notes(spark, plan, Progress())
    assert "canary" not in str(told.value)
    assert list(tmp_path.iterdir()) == [path]

    record = import_notes(spark, replace(plan, max_rejected_fraction=0.5), Progress())
    assert (record.rows, record.written, record.blank) == (6, 3, 1)
    assert dict(record.rejected) == {
        "wrong_number_of_fields": 1,
        "no_note_id": 1,
        "invalid_utf8": 1,
    }
    assert dict(record.unreadable) == {"subject_id": 1, "charttime": 1}
    rejected = table(spark, plan, "_rejected").orderBy("row").collect()
    assert [(r.file, r.row, r.line, r.reason) for r in rejected] == [
        ("discharge.csv", 2, 4, "wrong_number_of_fields"),
        ("discharge.csv", 4, 6, "no_note_id"),
        ("discharge.csv", 5, 7, "invalid_utf8"),
    ]
    assert "canary" not in str(rejected)
    first = table(spark, plan).where("note_id = 'a'").first()
    assert (first.hadm_id, first.note_seq, first.text) == (2, 3, "two\nlines")


def test_a_broken_file_writes_nothing(spark, tmp_path: Path) -> None:
    good = list(event_rows(3))
    for name, rows, words in (
        ("open", [*good, '4,1,,2150-01-01,,,"Echo","Report",,,"canary'], "odd number of quotes"),
        (
            "twice",
            ['4,1,,2150-01-01,,,"Echo","Report",,,"canary', *good, '5,1,,,,,"E","R",,,"x'],
            "from row 1 on, which begins in line 2",
        ),
        ("stray", [*good, '4,1,,2150-01-01,,,Echo 5" x, 3" y,Report,,,canary'], "by their quotes"),
        ("none", [], "hold no notes"),
    ):
        path = write_csv(tmp_path / f"{name}.csv", EVENTS, *rows)
        with pytest.raises(InputError, match=words) as told:
            import_notes(spark, plan_of(path, max_rejected_fraction=1.0), Progress())
        assert "canary" not in str(told.value)
    assert not (tmp_path / "table").exists() and not (tmp_path / "table_rejected").exists()


@pytest.mark.whole
def test_a_table_is_replaced_only_where_asked_and_as_a_whole(spark, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", NOTES, "a,1,,DS,1,,,canary", "b,1,,DS,1,,,canary")
    plan = plan_of(path, MIMIC4)
    import_notes(spark, plan, Progress())
    write_csv(path, NOTES, "a,1,,DS,1,,,canary new")
    with pytest.raises(InputError, match="--overwrite"):
        import_notes(spark, plan, Progress())
    assert table(spark, plan).count() == 2
    import_notes(spark, replace(plan, overwrite=True), Progress())
    assert [r.text for r in table(spark, plan).collect()] == ["canary new"]
    # A rewrite keeps what keeps text out of the log, and what is kept together.
    detail = spark.sql(f"DESCRIBE DETAIL {plan.target.sql_name()}").first()
    assert detail.clusteringColumns == ["subject_id", "storetime"]
    entries = "".join(f.read_text() for f in Path(plan.target.path).glob("_delta_log/*.json"))
    assert "numRecords" in entries and "canary" not in entries
    history = spark.sql(f"DESCRIBE HISTORY {plan.target.sql_name()}").collect()
    assert sum("numOutputRows" in entry.operationMetrics for entry in history) == 2


@pytest.mark.whole
def test_a_write_that_fails_leaves_what_was_there(spark, tmp_path: Path) -> None:
    """One task fails when others have written: without the commit there is no table."""
    good = spark.range(100).selectExpr("id AS note_id", "string(id) AS text")
    shape = TableShape((("note_id", "bigint"), ("text", "string")), ("note_id",))
    bad = good.withColumn("text", F.expr("IF(note_id = 99, raise_error('canary'), text)"))
    for place in ("new", "old"):
        target = ImportTarget.at(str(tmp_path / place), None)
        if place == "old":
            write_table(spark, good, target, shape)
        with pytest.raises(ClinspanError) as told:
            write_table(spark, bad.repartition(4), target, shape)
        assert "canary" not in str(told.value)
    assert not (tmp_path / "new").exists()
    assert spark.table(target.sql_name()).agg(F.sum("note_id")).first()[0] == 4950


def test_what_is_no_table_of_ours_is_left_alone(spark, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", NOTES, "a,1,,DS,1,,,t")
    plan = plan_of(path, MIMIC4, overwrite=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "part-0.parquet").write_text("x")
    with pytest.raises(InputError, match="no Delta table"):
        import_notes(spark, plan, Progress())
    (tmp_path / "table" / "part-0.parquet").unlink()
    rows = spark.createDataFrame([(1,)], "mine int")
    rows.write.format("delta").save(str(tmp_path / "table_rejected"))
    with pytest.raises(InputError, match="table_rejected is there and not what"):
        import_notes(spark, plan, Progress())
    nowhere = ImportTarget.at(str(path / "below a file"), None)
    with pytest.raises(InputError, match="open to writing"):
        import_notes(spark, replace(plan, target=nowhere), Progress())
    with pytest.raises(InputError, match="no schema"):
        import_notes(
            spark, replace(plan, target=ImportTarget.at(None, "no_such.notes")), Progress()
        )


@pytest.mark.whole
@pytest.mark.both_lanes
def test_a_catalog_table(spark, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "radiology.csv", NOTES, "a,1,,RR,1,2150-01-01,2150-01-02,t")
    spark.sql("CREATE SCHEMA IF NOT EXISTS imported")
    plan = plan_of(path, MIMIC4, target=ImportTarget.at(None, "imported.notes"))
    try:
        assert import_notes(spark, plan, Progress()).written == 1
        rows = read_notes(spark, NoteSource(MIMIC4, table="imported.notes"))
        assert map_columns(rows, MIMIC4).first().text == "t"
        assert spark.table("imported.notes_rejected").count() == 0
        with pytest.raises(InputError, match="--overwrite"):
            import_notes(spark, plan, Progress())
    finally:
        spark.sql("DROP SCHEMA imported CASCADE")


def test_a_folder_of_texts(spark, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "ward").mkdir(parents=True)
    exact = "First\r\nsecond 😀\n"
    (folder / "ward" / "1.txt").write_bytes(exact.encode())
    (folder / "2.txt").write_bytes(b"")
    (folder / "3.txt").write_bytes(b"canary caf\xe9")
    plan = plan_of(folder, MIMIC4, max_rejected_fraction=0.5)
    record = import_notes(spark, plan, Progress())
    assert (record.rows, record.written, record.blank, record.without_time) == (3, 2, 1, 2)
    assert record.rejected == (("invalid_utf8", 1),)
    assert {r.note_id: r.text for r in table(spark, plan).collect()} == {"ward/1": exact, "2": ""}
    assert table(spark, plan, "_rejected").first().file == "3.txt"
    mapped = map_columns(read_notes(spark, NoteSource(MIMIC4, path=plan.target.path)), MIMIC4)
    assert mapped.where("subject_id IS NULL AND charttime IS NULL").count() == 2


def test_kinds_of_files_are_not_mixed(tmp_path: Path) -> None:
    a = write_csv(tmp_path / "a.csv", NOTES, "a,1,,DS,1,,,t")
    with pytest.raises(InputError, match="given twice"):
        find_notes([str(a), str(a)])
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(InputError, match="one at a time"):
        find_notes([str(tmp_path)])


def test_a_table_that_does_not_hold_what_was_read_is_told(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "a.csv", NOTES, "a,1,,DS,1,,,t", "b,1,,DS,1,,,u")

    def lossy(rows, files, keys):
        return rows.limit(1)

    monkeypatch.setattr(note_import, "lay_out", lossy)
    with pytest.raises(ClinspanError, match="holds 1 notes of 1 bytes, but 2 of 2 were read"):
        import_notes(spark, plan_of(path, MIMIC4), Progress())


def test_the_layout_is_a_grid(spark) -> None:
    rows = spark.range(1600).selectExpr("id % 40 AS patient", "id DIV 40 AS time")
    laid = lay_out(rows, 16, [F.col("patient"), F.col("time")])
    spread = (
        laid.withColumn("file", F.spark_partition_id())
        .groupBy("file")
        .agg(F.max("patient") - F.min("patient"), F.max("time") - F.min("time"), F.count("*"))
        .collect()
    )
    assert sum(r[3] for r in spread) == 1600 and len(spread) > 12
    narrow = [r for r in spread if r[1] <= 12 and r[2] <= 16]
    assert len(narrow) >= len(spread) // 2


@pytest.mark.whole
def test_two_hundred_thousand_rows(spark, tmp_path: Path) -> None:
    """One file that cannot be split, counted row by row by Python beside."""
    path = tmp_path / "NOTEEVENTS.csv.gz"
    rows = characters = errors = 0
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as file:
        file.write(EVENTS + "\n")
        for row in event_rows(200_000):
            file.write(row + "\n")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for note in csv.DictReader(file):
            rows, characters = rows + 1, characters + len(note["TEXT"])
            errors += note["ISERROR"] == "1"
    plan = plan_of(path)
    record = import_notes(spark, plan, Progress())
    assert (record.rows, record.written, record.rejected) == (rows, rows, ())
    assert rows == 200_000
    assert (record.characters, record.withdrawn) == (characters, errors)
    assert record.files >= 2
    assert table(spark, plan).select("ROW_ID").distinct().count() == rows
