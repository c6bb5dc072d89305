"""A folder of text files → records, one for each file, with every character as it stands.

Owns which files are notes, and the id of a note: its path in the folder, without `.txt`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from udfs.errors import InputError
from udfs.reading.source_records import INVALID_UTF8, NOT_UTF8, SourceRecord, to_batches

SUFFIX = ".txt"
HEADER = ("note_id", "text")
UNREADABLE = "unreadable_file"


def find_text_files(folder: Path) -> tuple[str, ...]:
    """The paths of all `*.txt` files below a folder, relative to it; hidden ones left out.

    Raises:
        InputError: two files would have the same note id.
    """
    found: list[Path] = []
    known: set[str] = set()
    # Links to folders are followed, except those that lead back to a folder already seen.
    for place, folders, names in os.walk(folder, followlinks=True):
        known.add(os.path.realpath(place))
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) not in known
        ]
        texts = (name for name in names if name.lower().endswith(SUFFIX) and name[0] != ".")
        found += [Path(place, name).relative_to(folder) for name in texts]
    if len({path.with_suffix("") for path in found}) < len(found):
        raise InputError(f"two files in {folder} differ only in the case of .txt: rename one")
    return tuple(sorted(map(str, found)))


def text_size(folder: str, files: Iterable[str]) -> int:
    """Bytes of all files together, as the file system counts them."""
    return sum((Path(folder) / file).stat().st_size for file in files)


def text_batches(
    batches: Iterable[pa.RecordBatch], folder: str, files: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """`id`, an index in `files` → rows of `source_records.record_schema` with `HEADER`."""
    places = (index.as_py() for batch in batches for index in batch.column("id"))
    found = (_record(Path(folder), files[place], place + 1) for place in places)
    yield from to_batches(found, len(HEADER))


def _record(folder: Path, file: str, row: int) -> SourceRecord:
    # A name that is not UTF-8 cannot leave the worker as it is.
    shown = os.fsencode(file).decode(errors="backslashreplace")
    try:
        content = (folder / file).read_bytes()
    except OSError as error:
        return SourceRecord(shown, row, None, 0, UNREADABLE, type(error).__name__)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return SourceRecord(shown, row, None, len(content), INVALID_UTF8, NOT_UTF8)
    if shown != file:
        detail = "the name of the file is not UTF-8"
        return SourceRecord(shown, row, None, len(content), INVALID_UTF8, detail)
    note_id = Path(file).with_suffix("").as_posix()
    return SourceRecord(shown, row, None, len(content), fields=(note_id, text))
