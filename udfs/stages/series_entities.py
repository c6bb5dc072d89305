"""Texts → their entities, for a function in SQL: series of texts in, series of entity lists out.

It is the production path (`segment_note`, distinct windows, `annotate_note`) without the tables
around it, so a query finds the same entities as the main job. A buffer holds many notes, and each
distinct window in it is scored once. The module knows no Spark; `pipelines.sql_functions` makes a
SQL function of it.
No exception that leaves this module holds text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from udfs.annotation.note_annotation import annotate_note, place_predictions
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import ClinspanError, PredictionError
from udfs.spans import Classifier, WindowPrediction
from udfs.text.segmentation import segment_note

# What a query gets for each entity: the fields of `EntityRow` that need no id of the note.
FIELDS = ("begin", "end", "text", "label", "score")
# Windows in the first buffer; each later buffer has twice as many as the one before. So a query
# with a LIMIT shows its first rows soon, and a long query scores large, well sorted batches.
FIRST_BUFFER = 256


@dataclass(frozen=True, slots=True)
class _Note:
    text: str
    windows: list[tuple[int, int]]


def entities_of_texts(
    batches: Iterable[pd.Series],
    classifier: Classifier,
    settings: AnnotationSettings,
    buffer_windows: int,
) -> Iterator[pd.Series]:
    """One list of entities for each text, in order, however the texts are split into series.

    Args:
        batches: texts; a null text gives null, a blank one an empty list.
        classifier: scores distinct windows, at most `buffer_windows` at a time.
        settings: names and filters.
        buffer_windows: windows that are collected before they are scored.

    Yields:
        Series of lists of dicts with `FIELDS`; together they are as long as all batches.

    Raises:
        PredictionError: the texts cannot be read, or the model failed on them.
    """
    try:
        yield from _annotated(_texts(batches), classifier, settings, buffer_windows)
    except ClinspanError:
        raise
    except Exception as error:
        raise PredictionError(
            f"the entities of some texts could not be found ({type(error).__name__}); lower "
            "tokens_per_batch if memory was short"
        ) from None


def _annotated(
    texts: Iterator[str | None],
    classifier: Classifier,
    settings: AnnotationSettings,
    buffer_windows: int,
) -> Iterator[pd.Series]:
    notes: list[_Note | None] = []
    waiting, room = 0, min(FIRST_BUFFER, buffer_windows)
    for text in texts:
        note = None if text is None else _Note(text, segment_note(text))
        notes.append(note)
        # A row without windows counts as one, so that a column of nulls does not pile up.
        waiting += max(1, len(note.windows) if note else 0)
        if waiting >= room:
            yield _annotate(notes, classifier, settings, buffer_windows)
            notes, waiting, room = [], 0, min(2 * room, buffer_windows)
    if notes:
        yield _annotate(notes, classifier, settings, buffer_windows)


def _texts(batches: Iterable[pd.Series]) -> Iterator[str | None]:
    """The texts one by one; pandas writes null as None or NaN."""
    source = iter(batches)
    while True:
        try:
            batch = next(source)
        except StopIteration:
            return
        except Exception as error:
            # Arrow's own message quotes the whole text.
            raise PredictionError(
                f"a batch of texts cannot be read ({type(error).__name__}): each must be a string "
                "in UTF-8; leave others out with "
                "CASE WHEN encode(text, 'UTF-8') = cast(text AS binary) THEN text END"
            ) from None
        for text, is_null in zip(batch, batch.isna(), strict=True):
            if not is_null and not isinstance(text, str):
                raise PredictionError(
                    f"the texts are of the type {type(text).__name__}, they must be strings: "
                    "give the column that holds the texts"
                )
            yield None if is_null else text


def _annotate(
    notes: Sequence[_Note | None],
    classifier: Classifier,
    settings: AnnotationSettings,
    buffer_windows: int,
) -> pd.Series:
    predictions = _predict(notes, classifier, buffer_windows)
    found = [None if note is None else _entities(note, predictions, settings) for note in notes]
    return pd.Series(found, dtype=object)


def _predict(
    notes: Iterable[_Note | None], classifier: Classifier, buffer_windows: int
) -> dict[str, WindowPrediction]:
    """Scores each distinct window of these notes once; those of a huge note in several calls."""
    texts = (note.text[begin:end] for note in notes if note for begin, end in note.windows)
    distinct = list(dict.fromkeys(texts))
    predictions: dict[str, WindowPrediction] = {}
    for begin in range(0, len(distinct), buffer_windows):
        chunk = distinct[begin : begin + buffer_windows]
        predictions.update(zip(chunk, classifier.predict(chunk), strict=True))
    return predictions


def _entities(
    note: _Note, predictions: dict[str, WindowPrediction], settings: AnnotationSettings
) -> list[dict[str, object]]:
    scored = place_predictions(note.text, note.windows, predictions)
    rows = annotate_note("", note.text, scored, settings)
    return [{name: getattr(row, name) for name in FIELDS} for row in rows]
