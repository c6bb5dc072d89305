"""Bootstrap intervals of scores, from documents drawn with replacement.

Documents are drawn and not mentions, since the mentions of one document are not independent.
Percentile intervals over `RESAMPLES` draws from a fixed seed. Differences of two models are paired:
both are judged on the same draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.evaluation.measures import Counts, MatchCounts, precision_recall_f1

RESAMPLES = 1000
LEVEL = 0.95
SEED = 20240229


def score_intervals(
    counts: MatchCounts, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = SEED
) -> Counts:
    """`(rows, 3, 2)`: the lower and upper end for precision, recall and F1 of each row.

    Without documents both ends are 0.
    """
    return _ends(_resampled(counts, _draws(len(counts.points), resamples, seed)), level)


def f1_difference(
    first: MatchCounts,
    second: MatchCounts,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> NDArray[np.float64]:
    """`(rows, 3)`: F1 of the second minus F1 of the first, and both ends of its interval.

    Both must count the same documents and rows.
    """
    draws = _draws(len(first.points), resamples, seed)
    differences = (_resampled(second, draws) - _resampled(first, draws))[..., 2:]
    scores = [precision_recall_f1(*counts.totals())[:, 2] for counts in (first, second)]
    return np.column_stack([scores[1] - scores[0], _ends(differences, level)[:, 0]])


def _draws(documents: int, resamples: int, seed: int) -> Counts:
    """`(resamples, documents)`: how often each document is in each draw."""
    if not documents:
        return np.zeros((resamples, 0))
    chances = np.full(documents, 1 / documents)
    return np.random.default_rng(seed).multinomial(documents, chances, resamples).astype(float)


def _resampled(counts: MatchCounts, draws: Counts) -> Counts:
    """`(resamples, rows, 3)`: the scores of each draw."""
    return precision_recall_f1(
        *(draws @ part for part in (counts.points, counts.gold, counts.predicted))
    )


def _ends(values: Counts, level: float) -> Counts:
    tails = (1 - level) / 2
    return np.moveaxis(np.quantile(values, (tails, 1 - tails), axis=0), 0, -1)
