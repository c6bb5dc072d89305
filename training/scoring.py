"""Strict entity scores: a prediction counts when begin, end and label all equal gold's.

Owns the counts and what is made of them. nervaluate does the matching; a test holds it against
seqeval and against plain sets. Knows nothing of how spans came to be, except in
`predict_documents`, which goes the production path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nervaluate.evaluator import Evaluator  # type: ignore[import-untyped]  # has no stubs

from training.corpus import Document
from udfs.errors import InputError
from udfs.label_scheme import Span
from udfs.note_annotation import Classifier, find_entities

OVERALL = "overall"  # the micro average


@dataclass(frozen=True)
class LabelScore:
    """Scores in [0, 1] of one label, and the counts that they come from."""

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
        """Plain numbers for JSON, rounded to what 10,000 mentions can tell apart."""
        return {
            name: {
                key: round(value, 4) if isinstance(value, float) else value
                for key, value in asdict(score).items()
            }
            for name, score in self.rows().items()
        }


def score_documents(gold: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> Scores:
    """Scores of `predicted[i]`, the spans found in `gold[i]`. A span given twice counts once."""
    if len(gold) != len(predicted):
        raise InputError(
            f"{len(gold)} documents but {len(predicted)} predictions: there must be one for each"
        )
    true_entities, found_entities = [], []
    for document, spans in zip(gold, predicted, strict=True):
        gold_keys = {_key(span) for span in document.spans}
        # nervaluate lets a prediction that merely overlaps a gold mention use it up: the exact ones
        # go first.
        found_keys = sorted(
            {_key(span) for span in spans}, key=lambda key: (key not in gold_keys, key)
        )
        true_entities.append([_entity(key) for key in sorted(gold_keys)])
        found_entities.append([_entity(key) for key in found_keys])
    labels = sorted(
        {entity["label"] for entities in (*true_entities, *found_entities) for entity in entities}
    )
    if not labels:
        return Scores(LabelScore(0.0, 0.0, 0.0, 0, 0, 0), {})
    results = Evaluator(true_entities, found_entities, tags=labels, loader="dict").evaluate()
    return Scores(
        _label_score(results["overall"]["strict"]),
        {label: _label_score(results["entities"][label]["strict"]) for label in labels},
    )


def _key(span: Span) -> tuple[int, int, str]:
    return span.begin, span.end, span.label


def _entity(key: tuple[int, int, str]) -> dict[str, Any]:
    begin, end, label = key
    return {"start": begin, "end": end - 1, "label": label}  # nervaluate's ends are inclusive


def _label_score(result: Any) -> LabelScore:
    return LabelScore(
        float(result.precision),
        float(result.recall),
        float(result.f1),
        gold=int(result.possible),
        predicted=int(result.actual),
        correct=int(result.correct),
    )


def predict_documents(documents: Sequence[Document], classifier: Classifier) -> list[list[Span]]:
    """The spans that the production path finds in each document."""
    return [find_entities(document.text, classifier) for document in documents]
