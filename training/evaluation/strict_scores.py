"""Strict entity scores: a prediction counts when begin, end and label all equal gold's.

Owns the scores that training watches and packages record; `training/evaluation/measures.py` counts
the matches, for this measure and others. Does not know what found the spans, except in
`predict_documents`, which runs the production path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.corpora.documents import Document
from training.evaluation.measures import (
    OVERALL,
    STRICT,
    MatchCounts,
    count_matches,
    precision_recall_f1,
)
from udfs.annotation.note_annotation import find_entities
from udfs.spans import Classifier, Span


@dataclass(frozen=True)
class LabelScore:
    """Scores in [0, 1] of one label, and the counts from which they are computed."""

    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int
    correct: int


@dataclass(frozen=True)
class Scores:
    """`overall` is the micro average; `labels` has every label of gold or predictions, sorted."""

    overall: LabelScore
    labels: dict[str, LabelScore]

    def rows(self) -> dict[str, LabelScore]:
        """Every label's score, then the micro average."""
        return {**self.labels, OVERALL: self.overall}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, to four digits: 10,000 mentions resolve no more."""
        return {
            name: {
                key: round(value, 4) if isinstance(value, float) else value
                for key, value in asdict(score).items()
            }
            for name, score in self.rows().items()
        }


def score_documents(gold: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> Scores:
    """Scores of `predicted[i]`, the spans found in `gold[i]`. A span given twice counts once."""
    return strict_scores(count_matches(gold, predicted, [STRICT])[STRICT])


def strict_scores(counts: MatchCounts) -> Scores:
    """The scores over all documents, from their strict counts."""
    points, golds, founds = counts.totals()
    measured = precision_recall_f1(points, golds, founds)
    rows = {}
    for i, row in enumerate(counts.rows):
        precision, recall, f1 = map(float, measured[i])
        numbers = int(golds[i]), int(founds[i]), int(points[i])
        rows[row] = LabelScore(precision, recall, f1, *numbers)
    return Scores(rows.pop(OVERALL), rows)


def predict_documents(documents: Sequence[Document], classifier: Classifier) -> list[list[Span]]:
    """The spans that the production path finds in each document."""
    return [find_entities(document.text, classifier) for document in documents]
