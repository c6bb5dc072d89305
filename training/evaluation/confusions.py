"""Pairs gold mentions with predictions: right, wrong in label or border, missed, spurious.

Pairs are one to one. Four rounds make them, each in text order: equal mentions, then mentions with
equal borders, then overlapping mentions of one label, then any that overlap. Knows no text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from training.corpora.documents import Document
from udfs.spans import Span

RIGHT, WRONG_LABEL, WRONG_BORDER = "right", "wrong label", "wrong border"
WRONG_BOTH, MISSED, SPURIOUS = "wrong label and border", "missed", "spurious"
KINDS = (WRONG_LABEL, WRONG_BORDER, WRONG_BOTH, MISSED, SPURIOUS)
NOTHING = "(none)"  # the label that a missed mention was given, and that a spurious one should have


@dataclass(frozen=True)
class Pairing:
    """A gold mention, a prediction, or both; `document` is the index of their document."""

    document: int
    gold: Span | None
    found: Span | None

    @property
    def kind(self) -> str:
        """Right, or what is wrong with the pair."""
        if self.gold is None or self.found is None:
            return MISSED if self.found is None else SPURIOUS
        same_label = self.gold.label == self.found.label
        if _borders(self.gold) == _borders(self.found):
            return RIGHT if same_label else WRONG_LABEL
        return WRONG_BORDER if same_label else WRONG_BOTH

    @property
    def labels(self) -> tuple[str, str]:
        """The gold label and the predicted label; `NOTHING` where there is none."""
        return (
            NOTHING if self.gold is None else self.gold.label,
            NOTHING if self.found is None else self.found.label,
        )


def pair_mentions(gold: Sequence[Document], predicted: Sequence[Sequence[Span]]) -> list[Pairing]:
    """Every gold mention and every prediction of every document once, in text order."""
    pairs: list[Pairing] = []
    for place, (document, spans) in enumerate(zip(gold, predicted, strict=True)):
        pairs += sorted(_pair(place, document.spans, spans), key=_begin)
    return pairs


def confusion_counts(pairs: Iterable[Pairing]) -> Counter[tuple[str, str]]:
    """How often each gold label was found as each predicted label, whatever the borders."""
    return Counter(pair.labels for pair in pairs)


def _pair(place: int, gold: Iterable[Span], found: Iterable[Span]) -> list[Pairing]:
    golds = {(*_borders(span), span.label): span for span in gold}
    founds = {(*_borders(span), span.label): span for span in found}
    pairs = []
    for fits in _ROUNDS:
        for key in sorted(founds):
            partner = next((k for k in sorted(golds) if fits(golds[k], founds[key])), None)
            if partner is not None:
                pairs.append(Pairing(place, golds.pop(partner), founds.pop(key)))
    pairs += [Pairing(place, span, None) for span in golds.values()]
    return pairs + [Pairing(place, None, span) for span in founds.values()]


def _borders(span: Span) -> tuple[int, int]:
    return span.begin, span.end


def _overlap(one: Span, other: Span) -> bool:
    return one.begin < other.end and other.begin < one.end


_ROUNDS: tuple[Callable[[Span, Span], bool], ...] = (
    lambda a, b: _borders(a) == _borders(b) and a.label == b.label,
    lambda a, b: _borders(a) == _borders(b),
    lambda a, b: _overlap(a, b) and a.label == b.label,
    _overlap,
)


def _begin(pair: Pairing) -> tuple[int, int]:
    ends = [_borders(span) for span in (pair.gold, pair.found) if span is not None]
    return min(ends)
