"""Whether the stored windows and entities of a note fit its text; on the workers, in linear time.

It checks what the tables say, not how that was made: it knows no segmenter and no model. It returns
only counts, so that no text leaves a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from udfs import arrow_schemas
from udfs.text.text_hash import keyed_hash


@dataclass(frozen=True, slots=True)
class NoteFaults:
    """Counts of what is wrong with one note."""

    uncovered_characters: int
    wrong_windows: int
    wrong_entities: int


def find_faults(
    text: str,
    windows: Sequence[tuple[int, int, str]] | None,
    entities: Sequence[tuple[int, int, str]],
    hash_text: Callable[[str], str],
) -> NoteFaults:
    """Compares a note with its rows.

    Args:
        text: the note.
        windows: `(begin, end, window_hash)` of all its windows, in any order. None if they are not
            known; then neither they nor what they cover is judged.
        entities: `(begin, end, text)` of its entities.
        hash_text: the keyed hash that the windows were made with.

    Returns:
        The number of characters that are not white space and lie in no window, of windows whose
        text has another hash, and of entities whose offsets do not give their text.
    """
    uncovered = wrong_windows = position = 0
    for begin, end, window_hash in sorted(windows or ()):
        wrong_windows += hash_text(_slice(text, begin, end)) != window_hash
        uncovered += _written(text[position : max(begin, position)])
        position = max(position, end)
    if windows is not None:
        uncovered += _written(text[position:])
    wrong = sum(_slice(text, begin, end) != mention for begin, end, mention in entities)
    return NoteFaults(uncovered, wrong_windows, wrong)


def _slice(text: str, begin: int, end: int) -> str:
    # Python counts a negative offset from the end; SQL and readers of the table do not.
    return text[begin:end] if 0 <= begin <= end else ""


def _written(text: str) -> int:
    return sum(map(len, text.split()))


def check_batches(batches: Iterable[pa.RecordBatch], key: bytes) -> Iterator[pa.RecordBatch]:
    """`note_id, text, windows, entities, …` → a row of `arrow_schemas.CHECKED_NOTE` for each note.

    `windows` is an array of structs (begin, end, window_hash) or null. `entities` is an array of
    structs (begin, end, text). All other columns pass through.
    """
    hash_text = keyed_hash(key)
    for batch in batches:
        columns = [batch.column(name) for name in ("text", "windows", "entities")]
        faults = [
            find_faults(text.as_py(), _tuples(windows), _tuples(entities) or (), hash_text)
            for text, windows, entities in zip(*columns, strict=True)
        ]
        found = {name: [getattr(f, name) for f in faults] for name in NoteFaults.__slots__}
        passed = {n: batch.column(n) for n in arrow_schemas.CHECKED_NOTE.names if n not in found}
        yield arrow_schemas.to_batch({**passed, **found}, arrow_schemas.CHECKED_NOTE)


def _tuples(rows: pa.Scalar) -> list[tuple[int, int, str]] | None:
    values = rows.as_py()
    return None if values is None else [tuple(row.values()) for row in values]
