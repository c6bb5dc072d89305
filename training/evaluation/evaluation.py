"""An evaluation: every measure with intervals, and how far scores are from probabilities.

Owns which figures are measured together and their form in JSON. Knows nothing of models, files and
terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.corpora.documents import Document
from training.evaluation.calibration import (
    MentionOutcomes,
    brier_score,
    expected_calibration_error,
    mention_outcomes,
)
from training.evaluation.intervals import RESAMPLES, score_intervals
from training.evaluation.measures import (
    STRICT,
    Counts,
    MatchCounts,
    count_matches,
    precision_recall_f1,
)
from training.evaluation.strict_scores import Scores, strict_scores
from udfs.spans import Span

SCORES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Measured:
    """One measure: the counts, and `(rows, 3)` scores with their `(rows, 3, 2)` intervals."""

    counts: MatchCounts
    scores: Counts
    intervals: Counts

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Label → score → value and interval, to four digits: 10,000 mentions resolve no more."""
        return {
            row: {
                name: {
                    "value": round(float(self.scores[i, j]), 4),
                    "interval": [round(float(end), 4) for end in self.intervals[i, j]],
                }
                for j, name in enumerate(SCORES)
            }
            for i, row in enumerate(self.counts.rows)
        }


@dataclass(frozen=True)
class Evaluation:
    """The results: each measure by name, and the outcome of each predicted mention."""

    measures: dict[str, Measured]
    outcomes: MentionOutcomes

    @property
    def strict(self) -> Scores:
        """The strict scores, which a package records."""
        return strict_scores(self.measures[STRICT].counts)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "scores": self.strict.to_dict(),
            "measures": {name: measured.to_dict() for name, measured in self.measures.items()},
            "calibration": calibration_figures(self.outcomes),
        }


def evaluate(
    documents: Sequence[Document],
    predicted: Sequence[Sequence[Span]],
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Every measure with 95 % intervals; `predicted[i]` are the spans found in `documents[i]`."""
    counted = count_matches(documents, predicted)
    measures = {name: measured(counts, resamples) for name, counts in counted.items()}
    return Evaluation(measures, mention_outcomes(documents, predicted))


def measured(counts: MatchCounts, resamples: int = RESAMPLES) -> Measured:
    """The scores and intervals of these counts."""
    scores = precision_recall_f1(*counts.totals())
    return Measured(counts, scores, score_intervals(counts, resamples))


def calibration_figures(outcomes: MentionOutcomes) -> dict[str, float]:
    """How near scores are to probabilities; 0 is best for the first two, which are errors."""
    mean_score, share_right = (
        (float(outcomes.scores.mean()), float(outcomes.right.mean()))
        if outcomes.labels
        else (0.0, 0.0)
    )
    return {
        "expected_calibration_error": round(expected_calibration_error(outcomes), 4),
        "brier_score": round(brier_score(outcomes), 4),
        "mean_score": round(mean_score, 4),
        "share_right": round(share_right, 4),
    }
