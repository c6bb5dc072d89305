"""Whether a mention's score is the probability that the mention is right, and how to make it so.

A mention is right when begin, end and label all equal gold's (strict). Fits the parameters of
`udfs.decoding.score_calibration`, and measures with reliability bins of equal numbers of mentions.
Knows spans and their scores, not which model gave them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.corpora.documents import Document
from udfs.decoding.score_calibration import ScoreCalibration, log_odds
from udfs.errors import InputError
from udfs.spans import Span

BINS = 15
# Labels with fewer predicted mentions than this share one bias.
ENOUGH_MENTIONS = 50
_STEPS, _SMALL = 100, 1e-9  # Newton's method: most steps (it needs about 8), and its tolerance


@dataclass(frozen=True)
class MentionOutcomes:
    """All predicted mentions as columns `(mentions,)`: score, whether it is right, label."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    labels: tuple[str, ...]

    def of_label(self, label: str) -> MentionOutcomes:
        """The mentions of one label."""
        places = [place for place, name in enumerate(self.labels) if name == label]
        return MentionOutcomes(self.scores[places], self.right[places], (label,) * len(places))

    def calibrated(self, calibration: ScoreCalibration) -> MentionOutcomes:
        """The same mentions with calibrated scores."""
        biases = np.array([calibration.biases.get(label, 0.0) for label in self.labels])
        return MentionOutcomes(calibration.apply(self.scores, biases), self.right, self.labels)


@dataclass(frozen=True)
class ReliabilityBin:
    """Mentions with similar scores: how many, their mean score, the share that is right."""

    mentions: int
    mean_score: float
    share_right: float


def mention_outcomes(
    gold: Sequence[Document], predicted: Sequence[Sequence[Span]]
) -> MentionOutcomes:
    """The outcome of each prediction; `predicted[i]` are the spans found in `gold[i]`."""
    rows = []
    for document, spans in zip(gold, predicted, strict=True):
        true = {(span.begin, span.end, span.label) for span in document.spans}
        rows += [(s.score, (s.begin, s.end, s.label) in true, s.label) for s in spans]
    return MentionOutcomes(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=bool),
        tuple(row[2] for row in rows),
    )


def reliability(outcomes: MentionOutcomes, bins: int = BINS) -> list[ReliabilityBin]:
    """Bins of equal numbers of mentions in order of their scores; empty ones are left out."""
    order = np.argsort(outcomes.scores, kind="stable")
    return [
        ReliabilityBin(
            len(part), float(outcomes.scores[part].mean()), float(outcomes.right[part].mean())
        )
        for part in np.array_split(order, bins)
        if len(part)
    ]


def expected_calibration_error(outcomes: MentionOutcomes, bins: int = BINS) -> float:
    """The mean over all bins of |mean score - share right|, weighted by mentions."""
    parts = reliability(outcomes, bins)
    total = sum(part.mentions for part in parts)
    off = sum(part.mentions * abs(part.mean_score - part.share_right) for part in parts)
    return off / total if total else 0.0


def brier_score(outcomes: MentionOutcomes) -> float:
    """The mean square of score minus outcome: 0 is best, a constant score of 0.5 gives 0.25."""
    return float(np.mean((outcomes.scores - outcomes.right) ** 2)) if len(outcomes.labels) else 0.0


def fit_calibration(outcomes: MentionOutcomes) -> ScoreCalibration:
    """The temperature and biases of greatest likelihood, for scores that are not calibrated yet.

    A logistic regression on the log-odds, fitted by Newton's method. It uses Platt's targets
    instead of 0 and 1, so that a label whose mentions are all right has a finite bias.

    Raises:
        InputError: there are too few mentions, or mentions with higher scores are not more often
            right.
    """
    if len(outcomes.labels) < ENOUGH_MENTIONS:
        raise InputError(
            f"{len(outcomes.labels)} predicted mentions are too few to fit a calibration to: "
            f"take a part with {ENOUGH_MENTIONS} or more"
        )
    groups, group_of = _groups(outcomes.labels)
    slope, biases = _newton(outcomes, groups, max(groups) + 1)
    if slope <= 0:
        raise InputError(
            "mentions with higher scores are not more often right in this part, so no temperature "
            "makes probabilities of the scores; is it annotated with the labels of the model?"
        )
    return ScoreCalibration(
        float(1 / slope), {label: float(biases[g]) for label, g in sorted(group_of.items())}
    )


def _groups(labels: Sequence[str]) -> tuple[NDArray[np.int64], dict[str, int]]:
    """The group number of each mention and of each label; all rare labels are in one group."""
    counts = Counter(labels)
    frequent = sorted(label for label in counts if counts[label] >= ENOUGH_MENTIONS)
    group_of = {label: number for number, label in enumerate(frequent)}
    group_of |= {label: len(frequent) for label in counts if label not in group_of}
    return np.array([group_of[label] for label in labels]), group_of


def _newton(
    outcomes: MentionOutcomes, groups: NDArray[np.int64], number: int
) -> tuple[float, NDArray[np.float64]]:
    right = outcomes.right.astype(np.float64)
    hits = np.bincount(groups, right, number)[groups]
    misses = np.bincount(groups, 1 - right, number)[groups]
    targets = np.where(outcomes.right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    columns = np.column_stack([log_odds(outcomes.scores), np.eye(number)[groups]])
    weights = np.zeros(number + 1)

    def loss(at: NDArray[np.float64]) -> float:
        odds = columns @ at
        return float(np.sum(np.logaddexp(0, odds) - targets * odds))

    for _ in range(_STEPS):
        chances = 1 / (1 + np.exp(-(columns @ weights)))
        slopes = columns.T @ (chances - targets)
        curvature = (columns * (chances * (1 - chances))[:, None]).T @ columns
        step = np.linalg.solve(curvature + _SMALL * np.eye(number + 1), slopes)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > _SMALL:
            step /= 2
        weights = weights - step
        if np.abs(step).max() < _SMALL:
            break
    return float(weights[0]), weights[1:]
