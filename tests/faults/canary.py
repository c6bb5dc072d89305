"""Notes with a canary in every line, and the search for it where no text of notes may stand.

The canary looks like the name of a drug, so that it also comes out as a mention.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CANARY = "qzvexamab"
# Longer notes are refused by the settings of these tests; the longest sample has 4,118 characters.
MOST_CHARACTERS = 10_000


def write_notes(samples: Path, target: Path, notes: int, copies: int) -> Path:
    """Samples with a canary at the end of every line, as JSON Lines; with rows that are refused,
    one for each rule, and others that are odd but right.

    Args:
        samples: the notes of the repository.
        target: the file to write.
        notes: so many samples, at equal distances.
        copies: each so many times, with another canary, so that hardly a window is a copy.
    """
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    rows = rows[:: max(1, len(rows) // notes)][:notes]
    marked = [
        row | {"note_id": f"{row['note_id']}-{copy}", "text": _mark(row["text"], f"{CANARY}{copy}")}
        for copy in range(copies)
        for row in rows
    ]
    odd = [
        {"note_id": "too long", "text": f"{CANARY} " * MOST_CHARACTERS},
        {"note_id": "in conflict", "text": f"No {CANARY}."},
        {"note_id": "in conflict", "text": f"Takes {CANARY}."},
        {"text": f"{CANARY} without an id"},
        {"note_id": "twice", "text": f"Aspirin and {CANARY}."},
        {"note_id": "twice", "text": f"Aspirin and {CANARY}."},
        {"note_id": "blank", "text": " \n"},
        {"note_id": "null", "text": None},
    ]
    lines = [json.dumps(row) for row in marked + odd]
    lines.append('{"note_id": "broken", "text": "' + CANARY)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def _mark(text: str | None, canary: str) -> str:
    return "\n".join(f"{line.rstrip()} {canary}" for line in (text or "").split("\n"))


def find_canary(place: Path) -> list[str]:
    """The files below a place that hold the canary, in their bytes or in a column of Parquet.

    Change data and rows of `entities` hold text of notes by contract; their log does not.
    """
    return [
        str(file.relative_to(place))
        for file in _files(place)
        if not _is_entity_data(file) and holds_canary(file)
    ]


def holds_canary(file: Path) -> bool:
    try:
        content = file.read_bytes()
    except OSError:  # it is gone: what a running job does with its own files
        return False
    if CANARY.encode() in content.lower():
        return True
    if file.suffix != ".parquet":
        return False
    try:
        columns = pq.read_table(file).to_pydict()
    except (pa.ArrowInvalid, OSError):  # the half of a file that a killed process leaves
        return False
    return CANARY in str(columns).lower()


def _is_entity_data(file: Path) -> bool:
    parts = file.parts
    return "entities" in parts and "_delta_log" not in parts and file.suffix == ".parquet"


def _files(place: Path) -> Iterator[Path]:
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


class Watch:
    """Reads every file below a folder again and again while a job is at work in it.

    `found` are those that held the canary at any time; `blocks` the bytes that were read of
    shuffle, spill and cache files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: set[str] = set()
        self.blocks = 0
        self._seen: dict[Path, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            for file in self._changed():
                if holds_canary(file):
                    self.found.add(str(file.relative_to(self.folder)))

    def _changed(self) -> Iterator[Path]:
        try:
            for file in _files(self.folder):
                size = file.stat().st_size
                if self._seen.get(file) != size:
                    self._seen[file] = size
                    self.blocks += size * any("blockmgr" in part for part in file.parts)
                    yield file
        except OSError:  # a folder is gone: the next round sees what is there then
            return
