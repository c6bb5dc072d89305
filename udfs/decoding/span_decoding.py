"""Scores of words → mentions with scores, in the same way for every engine.

Score of a mention: the mean over its words of the summed probabilities of the label's tags, such
as P(B-label) + P(I-label); a word is judged by its first word-piece. The score lies in [0, 1]. If
the model has a calibration, that turns it into a probability (`score_calibration`). The module
knows arrays and one rule of Unicode, but no notes, tokenizers or models.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.decoding.label_scheme import IntArray, LabelScheme
from udfs.decoding.score_calibration import UNCALIBRATED, ScoreCalibration


@dataclass(frozen=True, slots=True)
class ScoredMentions:
    """Mentions as columns: first and last word (inclusive), label number and score of each."""

    first: IntArray
    last: IntArray
    label: IntArray
    score: NDArray[np.float32]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """`(words, tags)` logits → probabilities."""
    shifted = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    probabilities: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def find_mentions(
    scheme: LabelScheme,
    probabilities: NDArray[np.float64],
    starts_window: NDArray[np.bool_],
    calibration: ScoreCalibration = UNCALIBRATED,
) -> ScoredMentions:
    """The mentions of many windows laid end to end.

    Args:
        scheme: the tags, in the order of the columns.
        probabilities: `(words, tags)`.
        starts_window: `(words,)` true where a word is the first of its window.
        calibration: turns the scores into probabilities.
    """
    found = scheme.decode(scheme.choose(probabilities, starts_window), starts_window)
    by_label = np.stack(
        [probabilities[:, list(columns)].sum(axis=1) for columns in scheme.columns_of], axis=1
    )
    means = _means(by_label, found.first, found.last)
    biases = np.array([calibration.biases.get(label, 0.0) for label in scheme.entity_labels])
    score = calibration.apply(means[np.arange(len(found.label)), found.label], biases[found.label])
    # Scores are 32-bit in tables, so a filter must see the 32-bit value.
    return ScoredMentions(found.first, found.last, found.label, score.astype(np.float32))


def _means(values: NDArray[np.float64], first: IntArray, last: IntArray) -> NDArray[np.float64]:
    """Mean of `values` over the rows first..last (inclusive) of each mention."""
    sums = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
    means = (sums[last + 1] - sums[first]) / (last + 1 - first)[:, None]
    return np.clip(means, 0.0, 1.0)


def over_marks(text: str, end: int, limit: int) -> int:
    """The end of a word, moved over the combining marks after it; no word-piece covers those."""
    limit = min(limit, len(text))
    while end < limit and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return end
