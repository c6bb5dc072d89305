"""The measures that compare predictions with gold; each gives counts for every document.

strict, exact, partial, type
    nervaluate's four. strict: begin, end and label are equal. exact: begin and end are equal.
    partial: any overlap, with half a point where the borders differ. type: any overlap with an
    equal label. nervaluate requires that an overlap covers 1 % of the gold mention.
lenient
    The measure of the n2c2 2018 evaluation, which Med7 reports: an overlap of one character with
    gold of the same label. Where several predictions find the same mention, only the first counts;
    the others are neither right nor wrong.
seqeval
    Mentions as IOB2 tags of tokens (those of `forms/tools/conll_writer.py`), sentence by sentence,
    as in papers that score tokens. Where mentions overlap, only the first one has tags.

The results are counts of documents and not scores, since intervals, groups and differences need
counts. Does not know what found the spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from nervaluate.entities import Entity  # type: ignore[import-untyped]  # has no stubs
from nervaluate.strategies import (  # type: ignore[import-untyped]
    EntityTypeEvaluation,
    EvaluationStrategy,
    ExactEvaluation,
    PartialEvaluation,
    StrictEvaluation,
)
from numpy.typing import NDArray
from seqeval.metrics.sequence_labeling import (  # type: ignore[import-untyped]  # has no stubs
    get_entities,
)

from training.corpora.documents import Document
from training.corpora.sentence_tokens import sentence_tokens
from udfs.decoding.label_scheme import spans_to_tags
from udfs.errors import InputError
from udfs.spans import Span

STRICT = "strict"
EXACT = "exact"
PARTIAL = "partial"
TYPE = "type"
LENIENT = "lenient"
SEQEVAL = "seqeval"
MEASURES = (STRICT, EXACT, PARTIAL, TYPE, LENIENT, SEQEVAL)
OVERALL = "overall"  # all labels together: the micro average

Counts = NDArray[np.float64]
Key = tuple[int, int, str]
# Gold and predicted mentions of a document → points, gold that count, predictions that count.
_Match = Callable[[list[Key], list[Key]], tuple[float, int, int]]


@dataclass(frozen=True)
class MatchCounts:
    """Points, gold and predicted mentions, each `(documents, rows)`; rows are labels, then overall.

    A prediction that counts as right is one point; one that is half right is half a point.
    """

    rows: tuple[str, ...]
    points: Counts
    gold: Counts
    predicted: Counts

    def totals(self) -> tuple[Counts, Counts, Counts]:
        """The three counts over all documents, each `(rows,)`."""
        return self.points.sum(0), self.gold.sum(0), self.predicted.sum(0)


def precision_recall_f1(points: Counts, gold: Counts, predicted: Counts) -> Counts:
    """The three scores, as a new last axis; a score with a denominator of 0 is 0."""
    pairs = ((points, predicted), (points, gold), (2 * points, gold + predicted))
    scores = [np.divide(a, b, out=np.zeros(a.shape), where=b > 0) for a, b in pairs]
    return np.stack(scores, axis=-1)


def count_matches(
    gold: Sequence[Document],
    predicted: Sequence[Sequence[Span]],
    measures: Sequence[str] = MEASURES,
    labels: Iterable[str] = (),
) -> dict[str, MatchCounts]:
    """The counts of each measure; `predicted[i]` are the spans found in `gold[i]`.

    There is a row for each label of gold or predictions, for each of `labels`, and for `overall`. A
    span given twice counts once.

    Raises:
        InputError: the numbers of documents and predictions differ.
    """
    if len(gold) != len(predicted):
        raise InputError(
            f"{len(gold)} documents but {len(predicted)} predictions: there must be one for each"
        )
    keys = [
        (_keys(document.spans), _keys(spans))
        for document, spans in zip(gold, predicted, strict=True)
    ]
    rows = (
        *sorted({*labels, *(key[2] for pair in keys for side in pair for key in side)}),
        OVERALL,
    )
    found = {}
    for measure in measures:
        pairs = keys
        if measure == SEQEVAL:
            texts = [document.text for document in gold]
            pairs = [_as_tokens(text, *pair) for text, pair in zip(texts, keys, strict=True)]
        found[measure] = _count(pairs, rows, _MATCHES[measure])
    return found


def _keys(spans: Sequence[Span]) -> list[Key]:
    return sorted({(span.begin, span.end, span.label) for span in spans})


def _count(
    pairs: Sequence[tuple[list[Key], list[Key]]], rows: tuple[str, ...], match: _Match
) -> MatchCounts:
    counts = np.zeros((3, len(pairs), len(rows)))
    for place, (gold, found) in enumerate(pairs):
        for row, label in enumerate(rows):
            wanted = [
                side if row == len(rows) - 1 else [key for key in side if key[2] == label]
                for side in (gold, found)
            ]
            counts[:, place, row] = match(wanted[0], wanted[1])
    return MatchCounts(rows, *counts)


def _by_nervaluate(strategy: EvaluationStrategy) -> _Match:
    def match(gold: list[Key], found: list[Key]) -> tuple[float, int, int]:
        # nervaluate goes through the predictions in order, and one that only overlaps a gold
        # mention uses that mention up. So those that are right come first, then those with the
        # right borders.
        right, borders = set(gold), {key[:2] for key in gold}
        found = sorted(found, key=lambda key: (key not in right, key[:2] not in borders, key))
        result, _ = strategy.evaluate([*map(_entity, gold)], [*map(_entity, found)], [])
        return result.correct + 0.5 * result.partial, len(gold), len(found)

    return match


def _entity(key: Key) -> Entity:
    begin, end, label = key
    return Entity(label, begin, end - 1)  # nervaluate's ends are inclusive


def _lenient(gold: list[Key], found: list[Key]) -> tuple[float, int, int]:
    claimed: set[Key] = set()
    points = repeated = 0
    for begin, end, label in found:
        met = {key for key in gold if key[2] == label and key[0] < end and begin < key[1]}
        again = bool(met & claimed)
        repeated += again
        points += bool(met) and not again
        claimed |= met
    return points, len(gold), len(found) - repeated


def _as_tokens(text: str, gold: list[Key], found: list[Key]) -> tuple[list[Key], list[Key]]:
    """The mentions that seqeval reads from the tags of gold and predictions, in token offsets."""
    sentences = sentence_tokens(text)
    words = [word for sentence in sentences for word in sentence]

    def read(side: list[Key]) -> list[Key]:
        tags = iter(spans_to_tags(words, [Span(*key) for key in side]))
        by_sentence = [[next(tags) for _ in sentence] for sentence in sentences]
        return [(first, last, label) for label, first, last in get_entities(by_sentence)]

    return read(gold), read(found)


def _equal(gold: list[Key], found: list[Key]) -> tuple[float, int, int]:
    return len(set(gold) & set(found)), len(gold), len(found)


_MATCHES: dict[str, _Match] = {
    STRICT: _by_nervaluate(StrictEvaluation()),
    EXACT: _by_nervaluate(ExactEvaluation()),
    PARTIAL: _by_nervaluate(PartialEvaluation()),
    TYPE: _by_nervaluate(EntityTypeEvaluation()),
    LENIENT: _lenient,
    SEQEVAL: _equal,
}
