"""One note and its predictions → its entity rows: the production path for one note, in Python.

Spark runs exactly this on every note, training scores exactly this, and a test proves that the
two agree. The list `STEPS` says what is done with the mentions of a note; each step is a function
from mentions to mentions. The module knows no Spark and no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from udfs.annotation.entity_merging import ScoredWindow, merge_mentions
from udfs.annotation.steps import STEPS, AnnotationSettings
from udfs.spans import Classifier, Mention, Span, WindowPrediction
from udfs.text.segmentation import segment_note

# Part of the pipeline fingerprint: raise it whenever a rule here or in entity_merging changes rows.
ANNOTATION_VERSION = 1


@dataclass(frozen=True, slots=True)
class EntityRow:
    """One mention, as it stands in the table `entities`."""

    entity_id: str
    begin: int
    end: int
    text: str
    label: str
    entity_type: str
    score: float


def annotate_note(
    note_id: str, text: str, windows: Sequence[ScoredWindow], settings: AnnotationSettings
) -> list[EntityRow]:
    """The entity rows of one note, in text order.

    Args:
        note_id: part of every row's `entity_id`.
        text: the raw note; every row satisfies `text[begin:end] == row.text`.
        windows: all windows of the note, each with its prediction.
        settings: filters and names.

    Raises:
        ValueError: a prediction does not fit the text.
    """
    mentions = [Mention.of(span) for span in merge_mentions(text, windows)]
    for step in STEPS:
        mentions = step(text, mentions, settings)
    return [_entity_row(note_id, text, mention, settings) for mention in mentions]


def _entity_row(note_id: str, text: str, mention: Span, settings: AnnotationSettings) -> EntityRow:
    kind = mention.label.lower()
    return EntityRow(
        entity_id=entity_id(note_id, mention, settings.model),
        begin=mention.begin,
        end=mention.end,
        text=text[mention.begin : mention.end],
        label=mention.label,
        entity_type=settings.entity_types.get(kind, kind),
        score=mention.score,
    )


def entity_id(note_id: str, mention: Span, model: str) -> str:
    """sha256 of note, offsets, label and model: the same mention has the same id in every run."""
    parts = (note_id, str(mention.begin), str(mention.end), mention.label, model)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def score_windows(text: str, classifier: Classifier) -> list[ScoredWindow]:
    """Segments one text and scores each distinct window once."""
    windows = segment_note(text)
    distinct = list(dict.fromkeys(text[begin:end] for begin, end in windows))
    predictions = dict(zip(distinct, classifier.predict(distinct), strict=True))
    return place_predictions(text, windows, predictions)


def place_predictions(
    text: str, windows: Sequence[tuple[int, int]], predictions: Mapping[str, WindowPrediction]
) -> list[ScoredWindow]:
    """Each window of a text with the prediction for the window's own text."""
    return [
        ScoredWindow(begin, end, p.spans, p.wordpieces, p.unread_characters)
        for begin, end in windows
        for p in (predictions[text[begin:end]],)
    ]


def find_entities(text: str, classifier: Classifier) -> list[Span]:
    """The mentions of one text through the production path, without Spark and without filters."""
    return merge_mentions(text, score_windows(text, classifier))
