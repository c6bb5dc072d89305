"""The three stages that Spark runs in Python workers, as functions from Arrow batches to batches.

Each reads its columns by name, works on plain Python values and builds its rows through
`arrow_schemas.to_batch`. None of them imports pyspark: `pipelines` wraps them, tests call them.
No exception that leaves this module holds text: only note ids, hashes and class names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import pyarrow as pa

from udfs import arrow_schemas
from udfs.annotation.entity_merging import ScoredWindow
from udfs.annotation.note_annotation import annotate_note
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import ClinspanError, PredictionError
from udfs.spans import Span, WindowFailure, WindowPrediction
from udfs.text.segmentation import segment_note
from udfs.text.text_hash import keyed_hash

# Rows in one batch that goes back to Spark: a 10 MB note alone has 100,000 windows.
ROWS_PER_BATCH = 10_000


class WindowClassifier(Protocol):
    """What scores windows; an isolated one (see `isolation`) may answer with a failure."""

    def predict(
        self, texts: Sequence[str]
    ) -> Sequence[WindowPrediction] | Sequence[WindowPrediction | WindowFailure]:
        """One answer for each window text, in order."""
        ...


def segment_batches(batches: Iterable[pa.RecordBatch], key: bytes) -> Iterator[pa.RecordBatch]:
    """`note_id, text` → one row of `arrow_schemas.WINDOW` for each window."""
    hash_text = keyed_hash(key)
    for batch in batches:
        notes = zip(batch.column("note_id"), batch.column("text"), strict=True)
        windows = _window_rows(notes, hash_text)
        while rows := list(islice(windows, ROWS_PER_BATCH)):
            columns = dict(zip(arrow_schemas.WINDOW.names, zip(*rows, strict=True), strict=True))
            yield arrow_schemas.to_batch(columns, arrow_schemas.WINDOW)


def _window_rows(
    notes: Iterator[tuple[pa.Scalar, pa.Scalar]], hash_text: Callable[[str], str]
) -> Iterator[tuple[str, int, int, int, str, str]]:
    for note_id, text_scalar in notes:
        text = text_scalar.as_py()
        for index, (begin, end) in enumerate(segment_note(text)):
            window = text[begin:end]
            yield note_id.as_py(), index, begin, end, hash_text(window), window


def classify_batches(
    batches: Iterable[pa.RecordBatch],
    classifier: WindowClassifier,
    buffer_windows: int,
    buffer_characters: int = 4_000_000,
) -> Iterator[pa.RecordBatch]:
    """`window_hash, text` → one row of `arrow_schemas.PREDICTION` for each window.

    Windows are collected across batches until the buffer is full. So the classifier can sort many
    of them by length, whatever the size of Spark's batches.
    """
    hashes: list[str] = []
    texts: list[str] = []
    characters = 0
    for batch in batches:
        pairs = zip(batch.column("window_hash"), batch.column("text"), strict=True)
        for window_hash, text in pairs:
            hashes.append(window_hash.as_py())
            texts.append(text.as_py())
            characters += len(texts[-1])
            if len(texts) >= buffer_windows or characters >= buffer_characters:
                yield _classify(hashes, texts, classifier)
                hashes, texts, characters = [], [], 0
    if texts:
        yield _classify(hashes, texts, classifier)


_NOTHING = WindowPrediction((), wordpieces=0, unread_characters=0)


def _classify(hashes: list[str], texts: list[str], classifier: WindowClassifier) -> pa.RecordBatch:
    try:
        answers = classifier.predict(texts)
    except ClinspanError:
        raise
    except Exception as error:
        raise PredictionError(
            f"the model failed ({type(error).__name__}) on {len(texts)} windows, the first with "
            f"hash {hashes[0][:12]}…; lower model.tokens_per_batch if memory was short"
        ) from None
    failures = [a.reason if isinstance(a, WindowFailure) else None for a in answers]
    predictions = [_NOTHING if isinstance(a, WindowFailure) else a for a in answers]
    return arrow_schemas.to_batch(
        {
            "window_hash": hashes,
            "spans": [[_span_row(span) for span in p.spans] for p in predictions],
            "wordpieces": [p.wordpieces for p in predictions],
            "unread_characters": [p.unread_characters for p in predictions],
            "failure": failures,
        },
        arrow_schemas.PREDICTION,
    )


def _span_row(span: Span) -> dict[str, object]:
    return {"begin": span.begin, "end": span.end, "label": span.label, "score": span.score}


def annotate_batches(
    batches: Iterable[pa.RecordBatch], settings: AnnotationSettings
) -> Iterator[pa.RecordBatch]:
    """`note_id, text, windows` → one row of `arrow_schemas.ANNOTATED_NOTE` for each note.

    `windows` is an array of structs (begin, end, spans, wordpieces, unread_characters), null
    where a note has none; `spans` is null where a window has no prediction.

    Raises:
        PredictionError: a window has no prediction, or a prediction does not fit the text.
    """
    for batch in batches:
        rows = [
            _annotated_row(note_id.as_py(), text.as_py(), windows.as_py(), settings)
            for note_id, text, windows in zip(
                batch.column("note_id"), batch.column("text"), batch.column("windows"), strict=True
            )
        ]
        columns = {name: [row[name] for row in rows] for name in arrow_schemas.ANNOTATED_NOTE.names}
        yield arrow_schemas.to_batch(columns, arrow_schemas.ANNOTATED_NOTE)


def _annotated_row(
    note_id: str, text: str, windows: list[dict[str, Any]] | None, settings: AnnotationSettings
) -> dict[str, object]:
    scored = [_scored_window(note_id, window) for window in windows or []]
    try:
        entities = annotate_note(note_id, text, scored, settings)
    except ValueError as error:
        raise PredictionError(
            f"note {note_id}: the stored predictions do not fit its text ({error}); "
            "was the input changed during the run? Run again"
        ) from None
    return {
        "note_id": note_id,
        "characters": len(text),
        "unread_characters": sum(w.unread_characters for w in scored),
        "windows": len(scored),
        "wordpieces": sum(w.wordpieces for w in scored),
        "entities": [{name: getattr(row, name) for name in _ENTITY_FIELDS} for row in entities],
    }


_ENTITY_FIELDS = tuple(field.name for field in arrow_schemas.ENTITY)


def _scored_window(note_id: str, row: dict[str, Any]) -> ScoredWindow:
    if row["spans"] is None:
        raise PredictionError(
            f"note {note_id}: the window at {row['begin']}-{row['end']} has no prediction; "
            "run again, and report it if it comes back"
        )
    return ScoredWindow(
        begin=row["begin"],
        end=row["end"],
        spans=tuple(Span(**span) for span in row["spans"]),
        wordpieces=row["wordpieces"],
        unread_characters=row["unread_characters"],
    )
