"""The values that travel between rooms: spans and predictions, mentions and relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled piece of a text: half-open code point offsets; score in [0, 1]."""

    begin: int
    end: int
    label: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class WindowPrediction:
    """What an engine says of one window: spans relative to it, and how much of it was read.

    `unread_characters` counts those in words that the vocabulary cannot spell (each becomes one
    unknown token).
    """

    spans: tuple[Span, ...]
    wordpieces: int
    unread_characters: int


@dataclass(frozen=True, slots=True)
class WindowFailure:
    """Why a window has no prediction, without text: `died`, `hung` or an exception's class."""

    reason: str


class Classifier(Protocol):
    """What annotation needs of an engine: one prediction for each window text, in order."""

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """See `udfs.classifiers.token_classifier.TokenClassifier.predict`."""
        ...


@dataclass(frozen=True, slots=True)
class Mention(Span):
    """A span with what is known of it: half-open code point offsets of its outermost characters.

    A corpus gives mentions as annotated, the steps of the production path as found.

    `fragments` are the pieces of a discontinuous mention, in text order, with something between
    each two; a mention in one piece has none. `attributes` are sorted pairs of name and value; the
    value of a flag is empty. `concept_ids` are those of a vocabulary such as MeSH or UMLS, as the
    corpus gives them: several where the mention is a composite of several concepts.
    """

    fragments: tuple[tuple[int, int], ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    concept_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, span: Span) -> Mention:
        """A span as a mention, to which attributes and concepts can be added."""
        return cls(span.begin, span.end, span.label, span.score)

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        """The fragments, or the one piece from begin to end."""
        return self.fragments or ((self.begin, self.end),)


@dataclass(frozen=True, slots=True)
class Relation:
    """A labelled relation of two mentions of a document, by their places in `spans`."""

    label: str
    head: int
    tail: int


@dataclass(frozen=True, slots=True)
class ConceptRelation:
    """A relation that a document states of two concepts, not of two mentions (CID in BC5CDR)."""

    label: str
    head: str
    tail: str
