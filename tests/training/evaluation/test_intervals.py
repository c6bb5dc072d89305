"""Intervals against a plain loop, and against what they promise."""

import numpy as np
import pytest

from training.evaluation.intervals import f1_difference, score_intervals
from training.evaluation.measures import MatchCounts, precision_recall_f1


def invented_counts(documents, rng, quality=0.8):
    """Documents of different length and difficulty: mentions of one are right or wrong together."""
    gold = rng.poisson(8, documents)
    skill = rng.beta(8 * quality, 8 * (1 - quality), documents)
    points = rng.binomial(gold, skill)
    extra = rng.poisson(2, documents)
    return MatchCounts(
        ("overall",), *(part[:, None].astype(float) for part in (points, gold, points + extra))
    )


def test_the_same_as_a_plain_loop():
    counts = invented_counts(30, np.random.default_rng(3))
    rng = np.random.default_rng(7)
    draws = rng.multinomial(30, np.full(30, 1 / 30), 200)
    scores = []
    for draw in draws:
        chosen = [document for document, times in enumerate(draw) for _ in range(times)]
        points, gold, found = (
            sum(part[d, 0] for d in chosen)
            for part in (counts.points, counts.gold, counts.predicted)
        )
        scores.append((points / found, points / gold, 2 * points / (gold + found)))
    expected = np.quantile(np.array(scores), (0.025, 0.975), axis=0).T
    assert score_intervals(counts, resamples=200, seed=7)[0] == pytest.approx(expected)


def test_an_interval_covers_the_true_score_as_often_as_it_says():
    """300 invented corpora of 60 documents each; 95 % of 300 is 285, its standard error is 3.8."""
    rng = np.random.default_rng(11)
    truth = precision_recall_f1(*invented_counts(200_000, rng).totals())[0, 2]
    covered = 0
    for _ in range(300):
        low, high = score_intervals(invented_counts(60, rng), resamples=400)[0, 2]
        covered += low <= truth <= high
    assert 270 <= covered <= 297


def test_intervals_are_the_same_every_time_and_hold_the_score():
    counts = invented_counts(50, np.random.default_rng(1))
    first = score_intervals(counts)
    assert np.array_equal(first, score_intervals(counts))
    scores = precision_recall_f1(*counts.totals())
    assert (first[..., 0] < scores).all()
    assert (scores < first[..., 1]).all()


def test_a_difference_is_paired():
    """Two models with the same faults but for a few: their difference is known far better."""
    counts = invented_counts(80, np.random.default_rng(5))
    better = counts.points.copy()
    better[::8] += (counts.points < counts.gold)[::8]
    second = MatchCounts(counts.rows, better, counts.gold, counts.predicted)
    difference, low, high = f1_difference(counts, second)[0]
    assert 0 < low < difference < high
    own = score_intervals(counts)[0, 2]
    assert high - low < (own[1] - own[0]) / 2
    assert f1_difference(counts, counts)[0].tolist() == [0, 0, 0]
    assert f1_difference(second, counts)[0, 0] == -difference


def test_no_documents_have_no_score():
    nothing = MatchCounts(("overall",), *(np.zeros((0, 1)) for _ in range(3)))
    assert score_intervals(nothing).tolist() == [[[0, 0]] * 3]
