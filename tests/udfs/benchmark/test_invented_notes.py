"""Invented notes: as many windows, distinct and copied, as they promise."""

from __future__ import annotations

from collections import Counter

import pytest

from udfs.benchmark.invented_notes import DAY_SECONDS, LINES, NotePlan
from udfs.text.segmentation import segment_note


def texts(plan: NotePlan) -> list[str]:
    return [plan.note(number).text for number in range(plan.notes)]


def windows(plan: NotePlan) -> list[str]:
    return [text[b:e] for text in texts(plan) for b, e in segment_note(text)]


@pytest.mark.parametrize("copied", [0.0, 0.3, 0.5, 0.8])
def test_the_share_of_copied_windows_is_the_one_that_was_asked_for(copied: float) -> None:
    plan = NotePlan(notes=4000, copied=copied)
    found = windows(plan)
    assert len(found) == plan.notes * LINES
    assert len(set(found)) / len(found) == pytest.approx(1 - copied, abs=0.01)


def test_a_copy_stands_in_an_earlier_note() -> None:
    plan = NotePlan(notes=300, copied=0.5)
    first: dict[str, int] = {}
    for number in range(plan.notes):
        for line in plan.note(number).text.split("\n\n"):
            first.setdefault(line, number)
    assert max(Counter(first.values()).values()) <= LINES
    assert len(first) < plan.notes * LINES * 0.6


def test_a_note_depends_on_its_number_and_the_seed_alone() -> None:
    one, longer = NotePlan(notes=100), NotePlan(notes=1000)
    assert texts(one) == texts(longer)[:100]
    assert not set(texts(one)) & set(texts(NotePlan(notes=100, seed=1)))
    assert len({longer.note(n).note_id for n in range(1000)}) == 1000


def test_days_are_equal_and_in_order() -> None:
    plan = NotePlan(notes=1000, days=8)
    days = Counter(plan.note(number).seconds // DAY_SECONDS for number in range(plan.notes))
    assert days == {day: 125 for day in range(8)}
