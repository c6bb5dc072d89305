"""Spark NLP's answers to rows of `spark_nlp_rows` → predictions, by the Torch engine's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from udfs import arrow_schemas
from udfs.decoding.label_scheme import LabelScheme
from udfs.decoding.score_calibration import UNCALIBRATED, ScoreCalibration
from udfs.decoding.span_decoding import find_mentions
from udfs.errors import PredictionError


def rows_to_predictions(
    batches: Iterable[pa.RecordBatch],
    scheme: LabelScheme,
    calibration: ScoreCalibration = UNCALIBRATED,
) -> Iterator[pa.RecordBatch]:
    """Tagged rows → one row of `arrow_schemas.PREDICTION` for each window.

    Args:
        batches: the columns of `TO_TAG` except `slots` and `pieces`, then `tagged` (the slots that
            have a tag) and `probabilities` (of every tag, for each of these slots, end to end).
        scheme: the model's tags, in the order of the probabilities.
        calibration: turns the scores of mentions into probabilities.

    Raises:
        PredictionError: a word has no tag.
    """
    for batch in batches:
        columns: dict[str, list[Any]] = {name: [] for name in arrow_schemas.PREDICTION.names}
        for row in batch.to_pylist():
            for name in ("window_hash", "wordpieces", "unread_characters"):
                columns[name] += row[name]
            columns["spans"] += _spans(row, scheme, calibration)
            columns["failure"] += [None] * len(row["window_hash"])
        yield arrow_schemas.to_batch(columns, arrow_schemas.PREDICTION)


def _spans(
    row: dict[str, Any], scheme: LabelScheme, calibration: ScoreCalibration
) -> list[list[dict[str, object]]]:
    """The spans of each window of a row."""
    spans: list[list[dict[str, object]]] = [[] for _ in row["words"]]
    window = np.repeat(np.arange(len(row["words"])), row["words"])
    if not len(window):
        return spans
    starts_window = np.ones(len(window), dtype=bool)
    starts_window[1:] = window[1:] != window[:-1]
    found = find_mentions(scheme, _of_words(row, len(scheme.tags)), starts_window, calibration)
    for first, last, label, score in zip(
        found.first, found.last, found.label, found.score, strict=True
    ):
        spans[window[first]].append(
            {
                "begin": row["begins"][first],
                "end": row["ends"][last],
                "label": scheme.entity_labels[label],
                "score": float(score),
            }
        )
    return spans


def _of_words(row: dict[str, Any], n_tags: int) -> NDArray[np.float64]:
    """`(words, tags)`: each word's probabilities, from the slot that decides it."""
    deciders = np.array(row["deciders"])
    slots = np.full((deciders.max() + 1, n_tags), np.nan)
    tagged = np.array(row["tagged"], dtype=np.int64)
    probabilities = np.array(row["probabilities"], dtype=np.float64).reshape(-1, n_tags)
    # A row may end with slots that decide no word: the overlap of a window's last pieces.
    wanted = tagged < len(slots)
    slots[tagged[wanted]] = probabilities[wanted]
    scores: NDArray[np.float64] = slots[deciders]
    if missing := int(np.isnan(scores).any(axis=1).sum()):
        raise PredictionError(
            f"Spark NLP gave no tag to {missing} of {len(scores)} words of the windows from hash "
            f"{row['window_hash'][0][:12]}… on: was another version of Spark NLP put on the class "
            "path? `make spark-nlp` sets up the one that was tried"
        )
    return scores
