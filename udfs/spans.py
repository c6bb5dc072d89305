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

    `unread_characters` counts the characters of words that the vocabulary cannot spell (each such
    word becomes one unknown token).
    """

    spans: tuple[Span, ...]
    wordpieces: int
    unread_characters: int


@dataclass(frozen=True, slots=True)
class WindowFailure:
    """Why a window has no prediction, without text: `died`, `hung` or an exception's class."""

    reason: str


class Classifier(Protocol):
    """What annotation needs from an engine: one prediction for each window text, in order."""

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """See `udfs.classifiers.token_classifier.TokenClassifier.predict`."""
        ...


@dataclass(frozen=True, slots=True)
class Mention(Span):
    """A span with what is known of it: half-open code point offsets of its outermost characters.

    The mentions of a corpus are those that people annotated; the mentions of the production path
    are those that the model found.

    `fragments` are the pieces of a discontinuous mention, in text order, with a gap between
    neighbours; a mention in one piece has none. `attributes` are sorted pairs of name and value;
    the value of a flag is empty. `concept_ids` come from a vocabulary such as MeSH or UMLS, as the
    corpus gives them; a mention that combines several concepts has several.
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
    """A labelled relation between two mentions of a document, given as indices in `spans`."""

    label: str
    head: int
    tail: int


@dataclass(frozen=True, slots=True)
class ConceptRelation:
    """A document's relation between two concepts, not between two mentions (CID in BC5CDR)."""

    label: str
    head: str
    tail: str
