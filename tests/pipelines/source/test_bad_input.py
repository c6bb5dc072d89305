"""Input as it comes: odd texts, odd ids, files that disagree, files that change. Right rows or a
clear error, and nothing lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.run.run_input import open_input
from pipelines.run.run_plan import RunPlan
from pipelines.source.note_columns import NoteColumns, missing_parts
from pipelines.source.note_source import NoteSource, read_notes, resolve_source, unreadable_file
from pipelines.source.source_files import SourceChangedError, files_of, needs_recursion
from pipelines.spark.names import name_parts, sql_table
from pipelines.tables.definitions import ENTITIES, PROCESSED_NOTES, QUARANTINED_NOTES, RUNS
from pipelines.tables.table_root import TableRoot
from tests.support.run_plans import ALL_DETAILS, KEY, plan_of
from udfs.annotation.note_annotation import find_entities
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import InputError
from udfs.text.text_hash import keyed_hash

HEBREW = "\u05d4\u05d7\u05d5\u05dc\u05d4 \u05e7\u05d9\u05d1\u05dc"
TEXTS = {
    "separators": "No anemia\u2028aspirin\u2029insulin\x85angina\x0baspirin\x0cinsulin\x1eanemia",
    "right to left": f"{HEBREW} aspirin {HEBREW[::-1]} anemia.",
    "marks": "\u200easpirin\u200f \u202einsulin\u202c \u2066anemia\u2069 \u061cangina\u200d",
    "astral": "😀 aspirin 👩\u200d⚕️ insulin 𝐁𝐁 anemia\r\n\r\n😀angina",
    "accents": "cafe\u0301 insulin\u0301 anemia\u0302, a\u0300\u0301\u0302aspirin",
    "controls": "\x00aspirin\x00 \x1b[31manemia\x1b[0m \x07insulin \ufeff angina \ufffd",
    "blanks": "At [**Hospital1\n18 insulin**] for anemia by Dr.[**Last Name\r\nCondition**]",
    "spaces": "\u00a0aspirin\u2003insulin\u3000anemia\u200bangina\u00ad\t\u1680",
    "inline": "PLAN:,1.  aspirin.,2.  insulin.,DIAGNOSES: ,anemia",
    "one word": "x" * 15_000,
    "only marks": "\u200e\u200f\u202e\u202c",
}
IDS = [
    "a",
    "A",
    " a",
    "a ",
    "a\n",
    "\u00e4",
    "a\u0308",
    "it's",
    'say "a"',
    "a\\'b",
    "a`b",
    "a;b--",
    "{a}",
    "\u202ea",
    "\u0627",
    "a\x00",
    "%41",
    "../a",
]


def strings(*values: str | bytes | None) -> pa.Array:
    """A string column whose bytes nobody has checked."""
    raw = [v.encode() if isinstance(v, str) else v for v in values]
    checked = pa.array(raw, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), checked.buffers())


def write_table(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def write_lines(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def source(path: Path, **changes: object) -> NoteSource:
    return NoteSource(ALL_DETAILS, path=str(path), **changes)


@pytest.fixture
def make_plan(tmp_path: Path, fake_engine) -> Callable[[Path], RunPlan]:
    def make(notes: Path) -> RunPlan:
        return plan_of(
            notes,
            f"{tmp_path}/r\u00f6`o;t' {{x}} [1]*%41/../root %20",
            fake_engine,
            annotation=AnnotationSettings(model="fake's {x}"),
            partitions=2,
        )

    return make


def test_a_mixed_lot_gives_right_rows_and_refusals(
    spark, make_plan: Callable[[Path], RunPlan], tmp_path: Path, fake_classifier
) -> None:
    """Files with columns of their own, hard texts, hard ids, bad bytes, repeated rows: one run."""
    folder = tmp_path / "notes {2150}" / "[a]* %41 b\u00e9"
    write_table(
        folder / "1 texts.parquet",
        text=strings(*TEXTS.values()),
        note_id=strings(*TEXTS),
        more=pa.array(range(len(TEXTS))),
    )
    write_table(
        folder / "2 ids.parquet",
        NOTE_ID=strings(*IDS, "\t\n", "\u00a0\u200b", None),
        text=strings(*(f"insulin {i}" for i in range(len(IDS))), "canary", "canary", "canary"),
        subject_id=pa.array([7] * (len(IDS) + 3), pa.int64()),
    )
    write_table(
        folder / "deeper" / "3 bytes.parquet",
        note_id=strings("bad text", "half a pair", b"bad \xff id", "bad type", "fine"),
        text=strings(b"canary caf\xe9", b"canary \xed\xa0\x80", "canary", "aspirin", "insulin"),
        note_type=strings("DS", "DS", "DS", b"\xe9", "DS"),
    )
    write_table(
        folder / "deeper" / "4 twice.parquet",
        note_id=["same", "same", "two patients", "two patients", "two texts", "two texts"],
        text=["aspirin", "aspirin", "canary", "canary", "canary 1", "canary 2"],
        subject_id=[1, None, 1, 2, 1, 1],
    )
    plan = make_plan(folder)
    record = run_extraction(spark, plan, Progress())

    good = {**TEXTS, "bad type": "aspirin", "fine": "insulin", "same": "aspirin"}
    good |= {note_id: f"insulin {i}" for i, note_id in enumerate(IDS)}
    expected = {
        (note_id, s.begin, s.end, text[s.begin : s.end])
        for note_id, text in good.items()
        for s in find_entities(text, fake_classifier)
    }
    found = plan.root.read(spark, ENTITIES)
    rows = [(r.note_id, r.begin, r.end, r.text) for r in found.collect()]
    assert len(rows) == len(set(rows)) and set(rows) == expected
    assert {note_id for note_id, *_ in rows} == set(good) - {"only marks", "one word"}
    assert "Last Name" not in str(rows) and "18 insulin" not in str(rows)

    notes = read_notes(spark, plan.source).select("note_id", F.col("text").alias("note"))
    joined = found.join(notes.distinct(), on="note_id", how="left")
    wrong = joined.where("NOT text <=> substring(note, begin + 1, end - begin)")
    assert wrong.count() == 0

    refused = plan.root.read(spark, QUARANTINED_NOTES).collect()
    assert sorted((r.note_id or "-", r.rule) for r in refused) == sorted(
        [
            ("\t\n", "no_note_id"),
            ("\u00a0\u200b", "no_note_id"),
            ("-", "no_note_id"),
            ("-", "invalid_utf8"),
            ("bad text", "invalid_utf8"),
            ("half a pair", "invalid_utf8"),
            ("two patients", "conflicting_patients"),
            ("two texts", "conflicting_texts"),
        ]
    )
    assert "canary" not in str(refused)
    ledger = plan.root.read(spark, PROCESSED_NOTES).collect()
    assert {r.note_id: r.characters for r in ledger} == {i: len(t) for i, t in good.items()}
    assert record.notes == len(good)
    assert record.rows_read == record.notes + record.quarantined_notes + record.repeated_rows
    assert record.notes_with_lost_details == 1
    assert record.missing_details == ("hadm_id", "charttime", "storetime")
    details = {r.note_id: (r.subject_id, r.note_type) for r in found.collect()}
    assert (details["a"], details["fine"]) == ((7, None), (None, "DS"))
    assert (details["bad type"], details["same"]) == ((None, None), (1, None))


class Writer(Progress):
    """Somebody who writes to the notes while a run reads them."""

    def __init__(self, when: str, what: Callable[[], object]) -> None:
        self._when, self._what = when, what

    def step(self, words: str) -> None:
        if words == self._when:
            self._what()


@pytest.mark.whole
@pytest.mark.both_lanes
def test_input_that_changes_while_it_is_read_is_told_and_nothing_is_written(
    spark, make_plan: Callable[[Path], RunPlan], tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    write_table(folder / "a.parquet", note_id=["a", "b"], text=["aspirin", "insulin"])
    write_table(folder / "b.parquet", note_id=["c"], text=["anemia"])
    plan = make_plan(folder)

    def write_over() -> None:  # Spark reads no row of it then, and says nothing
        write_table(folder / "a.parquet", note_id=["a"] * 9000, text=list(map(str, range(9000))))

    with pytest.raises(SourceChangedError, match=r"a\.parquet written over or gone") as told:
        run_extraction(spark, plan, Writer("finding windows", write_over))
    assert "b.parquet" not in str(told.value)
    assert plan.root.read(spark, PROCESSED_NOTES).count() == 0
    assert plan.root.read(spark, ENTITIES).count() == 0
    run = plan.root.read(spark, RUNS).first()
    assert (run.status, run.error) == ("failed", "SourceChangedError")

    write_table(folder / "a.parquet", note_id=["a", "b"], text=["aspirin", "insulin"])

    def add() -> None:  # a new file is the next run's
        write_table(folder / "c.parquet", note_id=["d"], text=["anemia"])

    record = run_extraction(spark, plan, Writer("finding windows", add))
    assert (record.rows_read, record.notes, record.entities) == (3, 3, 3)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_changes_are_seen_in_every_format(spark, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"{{n}} %20[1].{kind}"
    rows = {"json": '{"note_id": "a", "text": "t"}\n', "csv": "note_id,text\na,t\n"}
    file.write_text(rows[kind])
    with open_input(spark, source(file), KEY, 1000) as notes:
        notes.refuse_changes(spark)
        assert notes.counts.rows_read == 1 and len(notes.files) == 1
        assert notes.counts.partitions == 1
        assert notes.cause_of(spark, ValueError("x")).args == ("x",)
        os.utime(file, (1, 1))
        with pytest.raises(SourceChangedError, match="run again"):
            notes.refuse_changes(spark)
        file.unlink()
        assert isinstance(notes.cause_of(spark, ValueError("x")), SourceChangedError)
        known = InputError("x")
        assert notes.cause_of(spark, known) is known


def test_a_delta_table_is_read_at_one_version_by_path_and_by_name(spark, tmp_path: Path) -> None:
    name = "bad_input_notes"
    for where in ("path", "table"):
        rows = spark.createDataFrame([("a", "t")], "note_id string, text string")
        path = str(tmp_path / "it's `odd` {x} [1]")
        if where == "path":
            rows.write.format("delta").save(path)
            pinned = resolve_source(spark, NoteSource(ALL_DETAILS, path=path))
            rows.write.format("delta").mode("append").save(path)
        else:
            rows.write.format("delta").saveAsTable(name)
            pinned = resolve_source(spark, NoteSource(ALL_DETAILS, table=name))
            rows.write.format("delta").mode("append").saveAsTable(name)
        assert pinned.version == 0
        assert read_notes(spark, pinned).count() == 1
    spark.table(name).createOrReplaceTempView("`it's; odd`")
    view = NoteSource(ALL_DETAILS, table="`it's; odd`")
    assert resolve_source(spark, view) == view
    assert read_notes(spark, view).count() == 2
    spark.sql(f"DROP TABLE {name}")


@pytest.mark.parametrize(
    "name", ["a;b", "t; DROP TABLE x", "a b", "", "a.", "`a", "`a`b", "``", "a.b.c.d", "a--", "'a'"]
)
def test_what_is_no_name_of_a_table_is_refused(spark, name: str) -> None:
    with pytest.raises(InputError, match="no name of a table"):
        resolve_source(spark, NoteSource(ALL_DETAILS, table=name))


def test_a_path_is_no_name_of_a_table(spark) -> None:
    with pytest.raises(InputError, match="--notes /data/root/entities --format delta"):
        resolve_source(spark, NoteSource(ALL_DETAILS, table="delta.`/data/root/entities`"))


def test_names_of_tables_are_quoted_part_by_part() -> None:
    assert name_parts("`a``;.b`.c\u00e9") == ("a`;.b", "c\u00e9")
    assert sql_table("`a``;.b`.c") == "`a``;.b`.`c`"
    root = TableRoot.at(None, "main`; DROP TABLE x")
    assert root.sql_name(RUNS) == "`main``; DROP TABLE x`.`runs`"


def refusal(spark, path: Path, **changes: object) -> str:
    with (
        pytest.raises(InputError) as told,
        open_input(spark, source(path, **changes), KEY, 1000),
    ):
        pass
    assert "canary" not in str(told.value)
    return str(told.value)


def counted(spark, path: Path) -> tuple[int, int]:
    with open_input(spark, source(path), KEY, 1000) as notes:
        return notes.counts.rows_read, notes.counts.good


def test_parquet_files_that_disagree_are_named(spark, tmp_path: Path) -> None:
    first = write_table(tmp_path / "n" / "a.parquet", note_id=["a"], text=["canary"])
    second = tmp_path / "n" / "b b%.parquet"
    write_table(second, note_id=[7], text=["canary"])
    said = refusal(spark, first.parent)
    assert "'note_id': string in a.parquet, bigint in b b%.parquet" in said
    write_table(second, note_id=["b"], text=[5])
    assert "'text': string in a.parquet, bigint in b b%.parquet" in refusal(spark, first.parent)
    write_table(second, note_id=["b"], body=["canary"])
    assert "the file b b%.parquet" in refusal(spark, first.parent)
    write_table(second, text=["canary"], charttime=["2150-01-01"])
    assert "has no column 'note_id' for the note_id" in refusal(spark, first.parent)
    # A column that nobody asked for is nobody's trouble, nor is a file of blank notes.
    write_table(first, note_id=["a"], text=["t"], cgid=[1], hadm_id=pa.array([2], pa.int64()))
    write_table(second, note_id=["b"], text=strings(None), cgid=["x"])
    assert counted(spark, first.parent) == (2, 2)
    second.write_bytes(second.read_bytes()[:-9])
    assert "the file b b%.parquet cannot be read" in refusal(spark, first.parent)


def test_a_json_file_without_the_text_is_named(spark, tmp_path: Path) -> None:
    folder = tmp_path / "n"
    write_lines(folder / "a.jsonl", {"note_id": 1, "text": "t"}, {"note_id": "x"})
    write_lines(folder / "b.jsonl", {"note_id": 2, "text": None})
    assert counted(spark, folder) == (3, 3)
    write_lines(folder / "c d.jsonl", {"note_id": 3, "TEXT_BODY": "canary"})
    assert "the file c d.jsonl" in refusal(spark, folder)
    # A file of rubbish is rubbish row by row, as in any other file.
    (folder / "c d.jsonl").write_text("rubbish\n")
    assert counted(spark, folder) == (4, 3)


def test_json_lines_with_odd_line_ends(spark, tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\x85d"
    path = tmp_path / "n.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + json.dumps({"note_id": "mark", "text": "t"}).encode()
        + b"\r\n\r\n\n   \n"
        + json.dumps({"note_id": "separators", "text": text}, ensure_ascii=False).encode()
        + b'\r\n{"note_id": "surrogate", "text": "x \\ud800 y \\ud83d\\ude00"}\n'
        + b'{"note_id": "cut off", "text": "canary'
    )
    with open_input(spark, source(path), KEY, 1000) as notes:
        rows = {r.note_id: r for r in notes.rows.collect()}
    assert {i: r.rule for i, r in rows.items()} == {
        "mark": None,
        "separators": None,
        "surrogate": None,
        None: "unreadable_row",
    }
    assert rows["separators"].text == text
    assert rows["separators"].text_hash == keyed_hash(KEY)(text)
    # Spark's reader has made a question mark of the half pair before anybody could see it.
    assert rows["surrogate"].text == "x ? y 😀"


def test_no_file_of_a_folder_is_left_out(spark, tmp_path: Path) -> None:
    folder = tmp_path / "n"
    write_table(folder / "year=2150" / "a.parquet", note_id=["a"], text=["t"])
    assert not needs_recursion(files_of(spark, str(folder)))
    # Spark would leave out the second of these two, and the linked one.
    write_table(folder / "b.parquet", note_id=["b"], text=["t"])
    write_table(tmp_path / "far" / "c.parquet", note_id=["c"], text=["t"])
    (folder / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "far")
    assert needs_recursion(files_of(spark, str(folder)))
    (tmp_path / "far" / "back").unlink()
    assert counted(spark, folder) == (3, 3)


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        (["a"], False),
        (["a", "b"], False),
        (["y=1/m=2/a", "y=2/m=2/b"], False),
        (["y=1/a", "m=1/b"], True),
        (["y=1/a", "y=1/m=2/b"], True),
        (["y=1/more/a"], True),
        (["more/a"], True),
    ],
)
def test_when_folders_must_be_searched(files: list[str], needed: bool) -> None:
    assert needs_recursion(map(PurePath, files)) == needed


def test_files_elsewhere_are_those_that_a_folder_here_has(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("y=1/a b.json", "_y=2/%41.json", "more/c.json", "_temporary/d.json", ".e/f.json"):
        write_lines(tmp_path / "n" / name, {"note_id": "a"})
    here = files_of(spark, str(tmp_path / "n"))
    assert sorted(map(str, here)) == ["_y=2/%41.json", "more/c.json", "y=1/a b.json"]
    monkeypatch.setattr("pipelines.source.source_files.local_path", lambda path: None)
    for scheme in ("file:", "file://", ""):
        assert sorted(files_of(spark, f"{scheme}{tmp_path}/n/")) == sorted(here)
    assert len(files_of(spark, f"{tmp_path}/[n]/*/a*")) == 1


def test_details_without_a_column_are_told(spark) -> None:
    rows = spark.createDataFrame([], "note_id string, text string, CHARTDATE date")
    times = ("CHARTTIME", "chartdate")
    details = {"subject_id": ("subject_di",), "hadm_id": (), "charttime": times}
    columns = NoteColumns(details=details, withdrawn="iserror")
    assert missing_parts(rows, columns) == ("subject_id", "withdrawn")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Encountered error while reading file file:///n/a%20b.json. Details:\n", "a b.json"),
        ("cannot be converted in file s3a://b/n/a%2541.parquet. Column: [x],", "a%41.parquet"),
        ("RuntimeException: file:/n/b b%.parquet is not a Parquet file. Expe", "b b%.parquet"),
        ("not read footer for file: file:/n/b b%.parquet. Please ensure", "b b%.parquet"),
        ("reading file file:/n/b b%.parquet. Could not read footer.", "b b%.parquet"),
        ("SparkFileNotFoundException: File file:/n/a b.json does not exist\nIt is", "a b.json"),
        ("java.io.EOFException: Unexpected end of input stream", None),
    ],
)
def test_the_file_that_could_not_be_read_is_named(said: str, name: str | None) -> None:
    assert unreadable_file(RuntimeError(said)) == name
