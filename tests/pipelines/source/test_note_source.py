"""Reading notes: formats, columns, verdicts, and which of several rows counts."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.run.run_input import open_input
from pipelines.source import note_source
from pipelines.source.note_columns import NoteColumns, map_columns
from pipelines.source.note_formats import detect_format
from pipelines.source.note_selection import judge_notes, one_row_each, with_text_hash
from pipelines.source.note_source import NoteSource, read_notes, resolve_source
from udfs.errors import InputError
from udfs.text.text_hash import keyed_hash

KEY = b"k" * 32
MIMIC4 = NoteColumns(details={name: (name,) for name in schemas.NOTE_DETAILS})


def write_lines(path: Path, *rows: dict | bytes) -> Path:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def judged(spark, path: Path, columns: NoteColumns = MIMIC4, longest: int = 1000):
    rows = read_notes(spark, NoteSource(columns, path=str(path)))
    return judge_notes(with_text_hash(spark, map_columns(rows, columns), KEY), longest)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("notes.parquet", "parquet"),
        ("notes.JSONL", "json"),
        ("notes.json.gz", "json"),
        ("s3a://bucket/notes.ndjson", "json"),
        ("s3a://bucket/notes.parquet", "parquet"),
    ],
)
def test_format_follows_the_name(name: str, kind: str) -> None:
    assert detect_format(name) == kind


def test_format_follows_what_a_folder_holds(tmp_path: Path) -> None:
    for name, kind in (("a.parquet", "parquet"), ("b.jsonl", "json")):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / name).touch()
        (folder / "_SUCCESS").touch()
        assert detect_format(str(folder)) == kind
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    assert detect_format(str(tmp_path / "delta")) == "delta"


def test_format_that_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is there"):
        detect_format(str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="--format"):
        detect_format("s3a://bucket/notes")
    with pytest.raises(InputError, match="--format"):
        detect_format(str(tmp_path))


def test_a_source_tells_its_format_once(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telling it may walk through a large folder."""
    for name in ("a", "b"):
        write_lines(tmp_path / f"{name}.jsonl", {"note_id": name, "text": None})
    asked = []

    def detect(path: str) -> str:
        asked.append(path)
        return detect_format(path)

    monkeypatch.setattr(note_source, "detect_format", detect)
    source = NoteSource(NoteColumns(), path=str(tmp_path))
    with open_input(spark, source, b"k" * 32, 1000) as notes:
        notes.refuse_changes(spark)
        assert notes.counts.rows_read == 2
    assert asked == [str(tmp_path)]


def test_unreadable_sources_are_input_errors(spark, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 cut off")
    (tmp_path / "folder").mkdir()
    cases = {
        "empty.jsonl": "auto",
        "broken.parquet": "auto",
        "folder": "delta",
        "missing.parquet": "parquet",
    }
    for name, kind in cases.items():
        source = NoteSource(MIMIC4, path=str(tmp_path / name), format=kind)
        with pytest.raises(InputError, match=name):
            read_notes(spark, source)
    with pytest.raises(InputError, match="no such table"):
        read_notes(spark, NoteSource(MIMIC4, table="no_such_table"))


def test_missing_and_wrongly_typed_columns_are_named(spark, tmp_path: Path) -> None:
    rows = spark.read.json(
        str(
            write_lines(tmp_path / "a.jsonl", {"id": 1, "body": {"x": 1}, "when": [1], "text": "t"})
        )
    )
    with pytest.raises(InputError, match=r"no column 'note_id'.*they have: body, id, text, when"):
        map_columns(rows, MIMIC4)
    with pytest.raises(InputError, match=r"'body'.*struct<x:bigint>.*must be a string"):
        map_columns(rows, NoteColumns("id", "body"))
    with pytest.raises(InputError, match=r"'when'.*array<bigint>"):
        map_columns(rows, NoteColumns("id", "text", {"charttime": ("when",)}))


def test_columns_with_awkward_names_are_read(spark, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "n.jsonl", {"c`d": "a", "a.b": "text", "it's": "5"})
    columns = NoteColumns("c`d", "a.b", {"subject_id": ("it's",)})
    row = judged(spark, path, columns).first()
    assert (row.note_id, row.text, row.subject_id) == ("a", "text", 5)


def test_json_that_is_no_json_lines_is_told_so(spark, tmp_path: Path) -> None:
    pretty = tmp_path / "pretty.json"
    pretty.write_text(json.dumps([{"note_id": "a", "text": "canary"}], indent=2))
    with pytest.raises(InputError, match="one note a line") as told:
        read_notes(spark, NoteSource(MIMIC4, path=str(pretty)))
    assert "canary" not in str(told.value)
    path = write_lines(tmp_path / "n.jsonl", {"note_id": "a", "text": "t"}, {"TEXT": "u"})
    with pytest.raises(InputError, match="but for case"):
        read_notes(spark, NoteSource(MIMIC4, path=str(path)))


def test_notes_in_subfolders_and_odd_places_are_read(spark, tmp_path: Path) -> None:
    folder = tmp_path / "year {2150} [a]*"
    for place in (folder, folder / "more", folder / ".hidden"):
        place.mkdir(exist_ok=True)
        write_lines(place / "n.jsonl", {"note_id": place.name, "text": "t"})
    found = {row.note_id for row in judged(spark, folder).collect()}
    assert found == {folder.name, "more"}


def test_a_folder_of_partitions_keeps_its_columns(spark, tmp_path: Path) -> None:
    rows = spark.createDataFrame([("a", "t", 7)], "note_id string, text string, subject_id int")
    rows.write.partitionBy("subject_id").parquet(str(tmp_path / "notes"))
    assert judged(spark, tmp_path / "notes").first().subject_id == 7


def test_a_delta_table_may_be_named_from_the_current_folder(spark, tmp_path: Path) -> None:
    table = tmp_path / "some notes"
    spark.createDataFrame([("a", "aspirin")], "note_id string, text string").write.format(
        "delta"
    ).save(str(table))
    source = NoteSource(NoteColumns(), path=os.path.relpath(table))
    pinned = resolve_source(spark, source)
    assert pinned.version == 0
    assert [row.note_id for row in read_notes(spark, pinned).collect()] == ["a"]


def test_a_delta_table_is_never_read_as_its_files(spark, tmp_path: Path) -> None:
    path = tmp_path / "notes.parquet"
    for text in ("old", "new"):
        rows = spark.createDataFrame([("a", text)], "note_id string, text string")
        rows.write.format("delta").mode("overwrite").save(str(path))
    assert [row.text for row in judged(spark, path).collect()] == ["new"]
    with pytest.raises(InputError, match="--format delta"):
        read_notes(spark, NoteSource(MIMIC4, path=str(path), format="parquet"))


def test_presets_columns_are_mapped_and_cast(spark, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "mimic3.jsonl",
        {
            "ROW_ID": 7,
            "SUBJECT_ID": "12",
            "CHARTDATE": "2150-01-02",
            "CHARTTIME": None,
            "ISERROR": "1",
            "TEXT": "a",
        },
        {
            "ROW_ID": 8,
            "SUBJECT_ID": "x12",
            "CHARTDATE": "2150-01-02",
            "CHARTTIME": "2150-01-02 03:04:05",
            "ISERROR": None,
            "TEXT": "b",
        },
    )
    columns = NoteColumns(
        "row_id",
        "text",
        {"subject_id": ("SUBJECT_ID",), "charttime": ("CHARTTIME", "CHARTDATE")},
        withdrawn="ISERROR",
    )
    first, second = judged(spark, path, columns).orderBy("note_id").collect()
    assert (first.note_id, first.subject_id, first.withdrawn, first.details_lost) == (
        "7",
        12,
        True,
        False,
    )
    assert str(first.charttime) == "2150-01-02 00:00:00"
    assert (second.subject_id, second.withdrawn, second.details_lost) == (None, False, True)
    assert str(second.charttime) == "2150-01-02 03:04:05"
    assert first.hadm_id is None


def test_every_row_gets_a_verdict(spark, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "n.jsonl",
        {"note_id": "good", "text": "fine"},
        {"note_id": "null", "text": None},
        {"note_id": "long", "text": "x" * 1001},
        {"note_id": " ", "text": "no id"},
        {"text": "no id either"},
        b'{"note_id": "raw", "text": "tab\there, bell \x07, nul \x00 end"}',
        b'{"note_id": "cut", "text": "never clos',
        b'{"note_id": "latin1", "text": "caf\xe9"}',
    )
    verdicts = [(row.note_id, row.rule) for row in judged(spark, path).collect()]
    assert sorted(verdicts, key=str) == sorted(
        [
            ("good", None),
            ("null", None),
            ("long", "too_long"),
            (" ", "no_note_id"),
            (None, "no_note_id"),
            ("raw", None),
            (None, "unreadable_row"),
            ("latin1", "unreadable_row"),
        ],
        key=str,
    )
    raw = judged(spark, path).where("note_id = 'raw'").first()
    assert raw.text == "tab\there, bell \x07, nul \x00 end"


def test_bytes_that_are_not_utf8_are_refused_before_python_sees_them(spark, tmp_path: Path) -> None:
    rows = spark.createDataFrame(
        [("a", bytearray(b"caf\xe9")), ("b", bytearray(b"ok"))], "i string, t binary"
    )
    rows.select(F.col("i").alias("note_id"), F.col("t").cast("string").alias("text")).write.parquet(
        str(tmp_path / "n.parquet")
    )
    found = judged(spark, tmp_path / "n.parquet").select("note_id", "rule", "detail").collect()
    assert {row.note_id: row.rule for row in found} == {"a": "invalid_utf8", "b": None}
    assert "caf" not in str(found)


def test_details_of_refusals_hold_no_text(spark, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "n.jsonl", {"note_id": "l", "text": "canary" * 200})
    row = judged(spark, path).first()
    assert row.detail == "1200 characters, run.max_note_characters is 1000"


def test_text_hash_is_hmac_and_equal_to_pythons(spark) -> None:
    texts = ["", "plain", "café 😀", "nul \x00 end", "x" * 5000]
    rows = spark.createDataFrame([(t, None) for t in texts], "text string, corrupt string")
    hashes = {r.text: r.text_hash for r in with_text_hash(spark, rows, KEY).collect()}
    python = keyed_hash(KEY)
    for text in texts:
        assert hashes[text] == python(text)
        assert hashes[text] == hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def test_the_key_is_not_in_the_plan(spark) -> None:
    rows = spark.createDataFrame([("t", None)], "text string, corrupt string")
    key = b"secret-key-that-must-not-show-up"
    plan = with_text_hash(spark, rows, key)._jdf.queryExecution().toString()
    assert "secret" not in plan
    assert key.hex() not in plan.lower()


def test_latest_row_wins_equal_text_counts_once_and_ties_are_conflicts(spark) -> None:
    rows = [
        ("one", "a", "2150-01-01", 1),
        ("amended", "old", "2150-01-01", 1),
        ("amended", "new", "2150-01-02", 2),
        ("null first", "old", None, 1),
        ("null first", "new", "2150-01-02", 1),
        ("twice", "same", "2150-01-01", None),
        ("twice", "same", "2150-01-01", 5),
        ("tie", "this", "2150-01-01", 1),
        ("tie", "that", "2150-01-01", 2),
        ("both null", "x", None, None),
        ("both null", "x", None, None),
        ("whose", "x", "2150-01-01", 1),
        ("whose", "x", "2150-01-01", 2),
        ("stands", "taken back", "2150-01-01", 1),
        ("stands", "x", "2150-01-01", 1),
        ("gone", "x", "2150-01-01", 1),
        ("gone", "taken back", "2150-01-02", 1),
        ("gone", "taken back", "2150-01-02", 2),
    ]
    columns = "note_id string, text string, storetime string, subject_id bigint"
    notes = spark.createDataFrame(rows, columns)
    notes = notes.withColumn("storetime", F.to_timestamp("storetime"))
    notes = notes.withColumns(
        {"corrupt": F.lit(None).cast("string"), "withdrawn": F.col("text") == "taken back"}
    )
    notes = with_text_hash(spark, notes, KEY)
    kept, conflicts = one_row_each(notes)
    found = sorted((r.note_id, r.text, r.subject_id) for r in kept.collect())
    assert found == [
        ("amended", "new", 2),
        ("both null", "x", None),
        ("gone", "taken back", 2),
        ("null first", "new", 1),
        ("one", "a", 1),
        ("stands", "x", 1),
        ("twice", "same", 5),
    ]
    refused = sorted((r.note_id, r.rule, r.detail[-22:]) for r in conflicts.collect())
    assert refused == [
        ("tie", "conflicting_texts", "e have different texts"),
        ("whose", "conflicting_patients", "ave different patients"),
    ]
    assert one_row_each(notes.where("note_id = 'one'"))[1] is None
