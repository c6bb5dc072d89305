"""CSV in MIMIC's shapes: every character arrives, what cannot be read is told, counts agree."""

from __future__ import annotations

import bz2
import gzip
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import udfs.reading.csv_count
from udfs.errors import InputError
from udfs.reading.csv_count import CsvCount, count_csv
from udfs.reading.csv_records import csv_batches, header_size, read_header, read_records
from udfs.reading.source_records import record_schema

HEADER = b"note_id,subject_id,text\n"


def written(folder: Path, content: bytes, name: str = "notes.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def fields(path: Path, width: int = 3) -> list[list[str | None]]:
    return [list(record.fields or ()) for record in read_records(path, width)]


def faults(path: Path, width: int = 3) -> list[tuple]:
    records = read_records(path, width)
    return [(r.row, r.line, r.reason, r.detail) for r in records if r.reason]


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def test_texts_are_exact(tmp_path: Path) -> None:
    text = 'He said "no".\r\n\r\nLF\nCR\rNUL\x00 tab\t 😀 \u2028 naïve, "" end '
    for end in ("\n", "\r\n", "\r"):
        row = f"a,7,{quoted(text)}{end}{end}"
        path = written(tmp_path, f"note_id,subject_id,text{end}{row}b,,".encode())
        assert fields(path) == [["a", "7", text], ["b", None, None]]


def test_packed_files_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + HEADER + b'a,1,"\xef\xbb\xbft"\n'
    for name, packed in (
        ("n.csv", content),
        ("n.csv.gz", gzip.compress(content)),
        ("misnamed.csv", gzip.compress(HEADER[:5]) + gzip.compress(content[8:])),
        ("n.csv.bz2", bz2.compress(content)),
    ):
        path = written(tmp_path, packed, name)
        assert read_header(path) == ("note_id", "subject_id", "text")
        assert count_csv(path).rows == 2
        if name != "misnamed.csv":
            assert fields(path) == [["a", "1", "\ufefft"]]


def test_lines_and_rows_are_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + b'a,1,"x\ny"\n\nb,2\nc,3,t,more\nd,4,caf\xe9\ne,5,ok\n')
    assert faults(path) == [
        (2, 5, "wrong_number_of_fields", "2 fields, the header has 3"),
        (3, 6, "wrong_number_of_fields", "4 fields, the header has 3"),
        (4, 7, "invalid_utf8", "the bytes are not UTF-8"),
    ]
    assert [record.row for record in read_records(path, 3) if not record.reason] == [1, 5]


@pytest.mark.parametrize(
    ("content", "row", "line", "words"),
    [
        (b'a,1,ok\nb,2,"canary\nc,3,"canary"\n', 2, 3, "seen in line 4"),
        (b'a,1,"a \\"canary\\" b"\n', 1, 2, "not doubled"),
        (b'a,1,"canary\n', 1, 2, "not closed"),
    ],
)
def test_a_broken_quote_is_the_last_record(
    content: bytes, row: int, line: int, words: str, tmp_path: Path
) -> None:
    (fault,) = faults(written(tmp_path, HEADER + content))
    assert fault[:3] == (row, line, "broken_quotes")
    assert words in fault[3] and "canary" not in fault[3]


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("udfs.reading.csv_records.FIELD_LIMIT", 1000)
    path = written(tmp_path, HEADER + b'a,1,"' + b"canary\n" * 1000)
    assert "more than 1,000 characters" in faults(path)[0][3]
    with pytest.raises(InputError, match="odd number of quotes"):
        count_csv(path)


def test_a_cut_or_damaged_file_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(HEADER + b"a,1,canary\n" * 200_000)
    damaged = whole[:-8] + b"\0" * 8
    for content, words in ((whole[:-20], "EOFError"), (damaged, "BadGzipFile")):
        path = written(tmp_path, content, "n.csv.gz")
        *_, last = faults(path)
        assert last[2] == "broken_file" and words in last[3]
        with pytest.raises(InputError, match=f"cut off or damaged .{words}"):
            count_csv(path)
    with pytest.raises(InputError, match="cut off or damaged"):
        read_header(written(tmp_path, gzip.compress(HEADER)[:-9], "n.csv.gz"))
    with pytest.raises(InputError, match="No such file"):
        read_header(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (b'17,3,"Patient with canary\nand more"\n', "does not begin with a header"),
        (b"canary, seen today,x\n", "does not begin with a header"),
        ("note_id,text".encode("utf-16"), "does not begin with a header"),
        (b"caf\xe9,text\n", "does not begin with a header"),
        (b"note_id,text,TEXT\n", "one name but for case"),
        (b"PK\x03\x04rest", "unpack it"),
    ],
)
def test_a_first_row_that_is_no_header_is_refused_and_not_shown(
    content: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words) as told:
        read_header(written(tmp_path, content))
    assert "canary" not in str(told.value)


def test_an_index_column_without_a_name_gets_one(tmp_path: Path) -> None:
    path = written(tmp_path, b",note_id,text\n0,a,t\n")
    assert read_header(path) == ("_c0", "note_id", "text")
    assert header_size(path) == len("note_idtext")


def test_batches_are_small_and_hold_no_part_of_a_refused_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("udfs.reading.source_records.BATCH_BYTES", 1000)
    rows = b"".join(b"%d,1,%s\n" % (i, b"x" * 300) for i in range(20))
    path = written(tmp_path, HEADER + rows + b"z,canary\n")
    numbers = pa.record_batch({"id": pa.array([0], pa.int64())})
    batches = list(csv_batches(iter([numbers]), [str(path)], 3))
    assert all(batch.schema.equals(record_schema(3)) for batch in batches)
    assert max(batch.num_rows for batch in batches) == 4
    last = batches[-1].to_pylist()[-1]
    assert (last["row"], last["reason"]) == (21, "wrong_number_of_fields")
    assert "canary" not in str(last)


CELL = st.text(st.sampled_from('a,"\r\n\x00é😀 '), max_size=6)


@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 9),
    bare=st.booleans(),
)
def test_reader_and_counter_agree_with_what_was_written(
    rows: list[list[str]], end: str, block: int, bare: bool
) -> None:
    """Written by rule of RFC 4180, read by csv, counted by quotes, in blocks of any size."""

    def cell(value: str) -> str:
        return value if bare and value and not set(value) & set(',"\r\n') else quoted(value)

    content = HEADER + "".join(",".join(map(cell, row)) + end for row in rows).encode()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(udfs.reading.csv_count, "READ_BYTES", block)
        path = written(Path(folder), content)
        found = list(read_records(path, 3))
        assert [[f or "" for f in r.fields] for r in found] == rows
        size = sum(len(value.replace('"', "").encode()) for row in rows for value in row)
        assert sum(r.size for r in found) == size
        assert header_size(path) == len("note_idsubject_idtext")
        assert count_csv(path) == CsvCount(len(rows) + 1, size + header_size(path))


def test_the_counter_sees_what_the_reader_would_take_for_granted(tmp_path: Path) -> None:
    """A quote inside a field without quotes: csv reads on, the counts do not agree."""
    path = written(tmp_path, HEADER + b'a,1,5" x, 3" y\n')
    (record,) = read_records(path, 4)
    assert record.size != count_csv(path).size - header_size(path)
