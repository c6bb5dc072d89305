from __future__ import annotations

import itertools
import random

import pytest

from pipelines.forecast.text_growth import GROUPS, Estimate, TextSample


def sample_of(patients: list[list[str]], share: float, seed: int = 0) -> TextSample:
    """The sample that holds each patient's notes with a probability of `share`."""
    dice = random.Random(seed)
    sizes = dict.fromkeys(range(GROUPS), 0.0)
    totals = dict(sizes)
    masks: dict[str, int] = {}
    for windows in patients:
        if share < 1 and dice.random() >= share:
            continue
        group = dice.randrange(GROUPS)
        sizes[group] += len(windows)
        totals[group] += sum(map(len, windows))
        for window in windows:
            masks[window] = masks.get(window, 0) | 1 << group
    distinct: dict[int, float] = {}
    for window, mask in masks.items():
        distinct[mask] = distinct.get(mask, 0) + len(window)
    return TextSample(sizes, totals, distinct)


def own_words(patients: int, copies: int) -> list[list[str]]:
    return [[f"{patient:>6} {i:>3}" for i in range(8)] * copies for patient in range(patients)]


def amounts(patients: list[list[str]]) -> tuple[int, int, int]:
    """Windows, and the characters in all and in the distinct ones."""
    windows = [window for patient in patients for window in patient]
    return len(windows), sum(map(len, windows)), sum(map(len, set(windows)))


def test_a_whole_source_is_counted_exactly() -> None:
    patients = own_words(50, copies=3)
    sample = sample_of(patients, 1.0)
    size, total, distinct = amounts(patients)
    assert sample.total(size) == Estimate.exact(total)
    assert sample.distinct_total(size) == Estimate.exact(distinct)


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_of_a_patient_keep_their_share(copies: int) -> None:
    patients = own_words(20_000, copies)
    for patient in patients[::2]:
        patient += [f"long and {patient[0]}"]  # patients differ
    size, total, distinct = amounts(patients)
    hits = 0
    for seed in range(20):
        sample = sample_of(patients, 0.02, seed)
        all_text, found = sample.total(size), sample.distinct_total(size)
        assert all_text.value == pytest.approx(total, rel=0.05)
        assert all_text.low < all_text.value < all_text.high
        hits += all_text.low <= total <= all_text.high
        assert found.value / all_text.value == pytest.approx(distinct / total, rel=0.05)
        hits += found.low <= distinct <= found.high
    assert hits >= 34


@pytest.mark.parametrize(("phrases", "in_common"), [(3_000, 8), (30_000, 4), (300_000, 8)])
def test_what_patients_have_in_common_grows_more_slowly(phrases: int, in_common: int) -> None:
    """Phrases that all notes draw from, with the frequencies of Zipf's law, among own ones."""
    dice = random.Random(3)
    words = [f"phrase {i:>6}" for i in range(phrases)]
    weights = list(itertools.accumulate(1 / (i + 1) for i in range(phrases)))
    patients = [
        own + dice.choices(words, cum_weights=weights, k=in_common)
        for own in own_words(10_000, copies=1)
    ]
    size, _, distinct = amounts(patients)
    sample = sample_of(patients, 0.05)
    found = sample.distinct_total(size)
    assert sum(sample.distinct.values()) / 0.05 > 1.15 * distinct  # as if nothing were in common
    assert found.value == pytest.approx(distinct, rel=0.15)
    assert found.low < distinct < found.high


def test_nothing_is_nothing() -> None:
    empty = TextSample({}, {}, {})
    assert empty.total(5) == empty.distinct_total(5) == Estimate(0, 0, 0)
    assert empty.total(0) == empty.distinct_total(0) == Estimate(0, 0, 0)


def test_arithmetic_of_intervals() -> None:
    a, b = Estimate(10, 7, 13), Estimate(20, 16, 24)
    assert a.plus(b) == Estimate(30, 25, 35)
    assert a.times(2) == Estimate(20, 14, 26)
    quotient = b.over(a)
    assert quotient.value == 2
    assert 16 / 13 < quotient.low < 16 / 11 < quotient.value < 24 / 9 < quotient.high < 24 / 7
    assert Estimate.around(1, 1).low == 0
