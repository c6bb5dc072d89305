"""Score of a mention → probability that the mention is right: begin, end and label.

A softmax judges each word by itself. It does not know whether both ends of a mention are where an
annotator would set them, so the score is overconfident. The log-odds are divided by a temperature
(Guo et al. 2017) and shifted by a bias of the label (Platt 1999). Both are fitted by
`training.evaluation.calibration`. They change neither spans nor labels, nor the order of the scores
of one label.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Scores are 32-bit in tables: nearer to 0 or 1 than this they cannot be told apart.
EDGE = 1e-7


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """`temperature` is above 0; `biases` maps a label to what is added to its log-odds.

    A label that is not in `biases` has none.
    """

    temperature: float = 1.0
    biases: Mapping[str, float] = field(default_factory=dict)

    @property
    def changes_nothing(self) -> bool:
        """Whether scores stay as the model gives them."""
        return self.temperature == 1.0 and not any(self.biases.values())

    def apply(
        self, scores: NDArray[np.float64], biases: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """`(mentions,)` scores and the bias of each one's label → probabilities."""
        if self.changes_nothing:
            return scores
        tempered = log_odds(scores) / self.temperature + biases
        probabilities: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-tempered))
        return probabilities


UNCALIBRATED = ScoreCalibration()


def log_odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(s / (1 - s)), finite for all scores from 0 to 1."""
    clipped = np.clip(scores, EDGE, 1.0 - EDGE)
    odds: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return odds


def calibration_fault(raw: object, labels: Sequence[str]) -> str | None:
    """Why this JSON value is no calibration of a model with these labels; None if it is one."""
    if not isinstance(raw, Mapping) or set(raw) - {"temperature", "biases"}:
        return "'calibration' is not an object of temperature and biases"
    biases = raw.get("biases", {})
    if not isinstance(biases, Mapping) or set(biases) - set(labels):
        return f"the biases of 'calibration' are not of the labels {list(labels)}"
    numbers = (raw.get("temperature", 1.0), *biases.values())
    if not all(isinstance(n, float | int) and math.isfinite(n) for n in numbers):
        return "'calibration' holds something that is not a finite number"
    return None if numbers[0] > 0 else f"the temperature {numbers[0]} is not above 0"
