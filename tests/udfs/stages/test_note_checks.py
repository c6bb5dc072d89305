"""Windows and entities against the text of their note, by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest

from udfs import arrow_schemas
from udfs.stages.note_checks import NoteFaults, check_batches, find_faults
from udfs.text.segmentation import segment_note
from udfs.text.text_hash import keyed_hash

HASH = keyed_hash(b"k" * 32)
TEXT = "😀 aspirin\r\nanemia\x85\u2003."
FINE = NoteFaults(0, 0, 0)


def windows(*places: tuple[int, int]) -> list[tuple[int, int, str]]:
    return [(begin, end, HASH(TEXT[begin:end])) for begin, end in places]


def test_windows_that_cover_the_text_and_exact_entities_are_fine() -> None:
    rows = windows((0, 9), (11, 17), (19, 20))
    assert TEXT[11:17] == "anemia"
    assert find_faults(TEXT, rows, [(2, 9, "aspirin"), (11, 17, "anemia")], HASH) == FINE
    assert find_faults(TEXT, rows[::-1], [], HASH) == FINE
    assert find_faults(TEXT, windows(*segment_note(TEXT)), [], HASH) == FINE
    assert find_faults(" \n\x85", [], [], HASH) == FINE


@pytest.mark.parametrize(
    ("places", "uncovered"),
    [
        ([], 15),
        ([(0, 9)], 7),
        ([(0, 9), (12, 17), (19, 20)], 1),
        ([(2, 9), (11, 17), (19, 20)], 1),
        ([(0, 17), (2, 9)], 1),
    ],
)
def test_what_no_window_holds_is_counted(places: list[tuple[int, int]], uncovered: int) -> None:
    assert find_faults(TEXT, windows(*places), [], HASH) == NoteFaults(uncovered, 0, 0)


def test_nothing_is_said_of_windows_that_are_not_known() -> None:
    assert find_faults(TEXT, None, [(2, 9, "aspirin")], HASH) == FINE


def test_a_window_with_the_hash_of_another_text_is_wrong() -> None:
    moved = [(0, 9, HASH("aspirin")), *windows((11, 20))]
    assert find_faults(TEXT, moved, [], HASH) == NoteFaults(0, 1, 0)
    assert find_faults(TEXT, windows((0, 20)), [], keyed_hash(b"other")) == NoteFaults(0, 1, 0)


@pytest.mark.parametrize(
    "entity",
    [(1, 8, "aspirin"), (2, 9, "Aspirin"), (2, 8, "aspirin"), (-1, 20, "."), (40, 47, "aspirin")],
)
def test_an_entity_that_is_not_at_its_place_is_wrong(entity: tuple[int, int, str]) -> None:
    assert find_faults(TEXT, None, [entity, (2, 9, "aspirin")], HASH) == NoteFaults(0, 0, 1)


def test_batches_keep_what_spark_found_and_give_counts_only() -> None:
    place = {"begin": 0, "end": 20}
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "note_id": "n",
                "text": TEXT,
                "windows": [place | {"window_hash": HASH(TEXT)}],
                "entities": [place | {"text": "canary"}],
                "is_known": True,
                "other_texts": 2,
                "sql_mismatches": 1,
            },
            {
                "note_id": "none",
                "text": TEXT,
                "windows": None,
                "entities": [],
                "is_known": False,
                "other_texts": 0,
                "sql_mismatches": 0,
            },
        ]
    )
    (found,) = check_batches([batch], b"k" * 32)
    assert found.schema.equals(arrow_schemas.CHECKED_NOTE)
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("n", True, 2, 1, 0, 0, 1),
        ("none", False, 0, 0, 0, 0, 0),
    ]
