"""A folder of text files: which count, what their ids are, and that texts are exact."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from udfs.errors import InputError
from udfs.reading.source_records import record_schema
from udfs.reading.text_files import find_text_files, text_batches, text_size


def rows(folder: Path, files: tuple[str, ...]) -> list[dict]:
    ids = pa.record_batch({"id": pa.array(range(len(files)), pa.int64())})
    batches = list(text_batches(iter([ids]), str(folder), files))
    assert all(batch.schema.equals(record_schema(2)) for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def test_every_text_file_is_a_note(tmp_path: Path) -> None:
    exact = "\ufeffFirst\r\nsecond\r\x00 😀 naïve\n"
    for name, content in {
        "b.txt": exact.encode(),
        "ward 3/a.v2.TXT": b"x",
        "ward 3/_draft.txt": b"",
        ".hidden.txt": b"no",
        ".git/c.txt": b"no",
        "notes.ann": b"no",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    files = find_text_files(tmp_path)
    assert files == ("b.txt", "ward 3/_draft.txt", "ward 3/a.v2.TXT")
    found = rows(tmp_path, files)
    assert [(r["row"], r["field_0"], r["field_1"]) for r in found] == [
        (1, "b", exact),
        (2, "ward 3/_draft", ""),
        (3, "ward 3/a.v2", "x"),
    ]
    assert sum(r["size"] for r in found) == text_size(str(tmp_path), files)


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("x")
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "back").symlink_to(folder)
    assert find_text_files(folder) == ("linked/a.txt",)


def test_what_cannot_be_read_is_refused_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"canary caf\xe9")
    odd = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / odd).write_text("canary")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    found = {r["file"]: r for r in rows(tmp_path, find_text_files(tmp_path))}
    assert {name: r["reason"] for name, r in found.items()} == {
        "latin.txt": "invalid_utf8",
        r"caf\xe9.txt": "invalid_utf8",
        "gone.txt": "unreadable_file",
    }
    assert "canary" not in str(found)


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("a.txt", "a.TXT"):
        (tmp_path / name).write_text("x")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does not tell a.txt from a.TXT")
    with pytest.raises(InputError, match="case of"):
        find_text_files(tmp_path)
