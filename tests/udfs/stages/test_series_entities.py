"""A series of texts gives each text's entities, as annotation of one note gives them."""

from __future__ import annotations

import traceback

import pandas as pd
import pytest

from udfs.annotation.note_annotation import find_entities
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import PredictionError
from udfs.stages.series_entities import FIELDS, FIRST_BUFFER, entities_of_texts

SETTINGS = AnnotationSettings(model="m")
TEXTS = [
    "Ann takes 5 mg.\n\n😀 Bob\r\nNa 140",
    None,
    "",
    " \n\t ",
    "Ann takes 5 mg.",
    "[**Cid**] saw Dora.",
]


class Recorder:
    """A classifier that writes down what it was asked."""

    def __init__(self, classifier) -> None:
        self.classifier = classifier
        self.calls: list[list[str]] = []

    def predict(self, texts):
        self.calls.append(list(texts))
        return self.classifier.predict(texts)


def found(batches, classifier, settings=SETTINGS, buffer_windows=4096) -> list:
    series = entities_of_texts(iter(batches), classifier, settings, buffer_windows)
    return [entities for batch in series for entities in batch]


def series(*texts) -> pd.Series:
    return pd.Series(list(texts), dtype=object)


def test_each_text_gets_its_entities_and_null_stays_null(pattern_classifier) -> None:
    rows = found([series(*TEXTS)], pattern_classifier)
    assert [row is None for row in rows] == [text is None for text in TEXTS]
    assert rows[2] == rows[3] == []
    for text, row in zip(TEXTS, rows, strict=True):
        spans = find_entities(text or "", pattern_classifier)
        expected = [
            (s.begin, s.end, (text or "")[s.begin : s.end], s.label, s.score) for s in spans
        ]
        assert [tuple(entity[name] for name in FIELDS) for entity in row or []] == expected
    assert sum(len(row or []) for row in rows) > 6


@pytest.mark.parametrize("cuts", [[6], [1] * 6, [0, 2, 0, 4], [3, 3, 0]])
@pytest.mark.parametrize("buffer_windows", [1, 2, 4096])
def test_no_division_changes_a_row(
    cuts: list[int], buffer_windows: int, pattern_classifier
) -> None:
    rest, batches = list(TEXTS), []
    for cut in cuts:
        batches.append(series(*rest[:cut]))
        rest = rest[cut:]
    expected = found([series(*TEXTS)], pattern_classifier)
    assert found(batches, pattern_classifier, buffer_windows=buffer_windows) == expected


def test_a_window_is_scored_once_in_a_buffer_and_calls_are_bounded(pattern_classifier) -> None:
    recorder = Recorder(pattern_classifier)
    found([series(*["Ann sat.\n\nBob ran."] * 50), series("Bob ran.")], recorder)
    assert [sorted(call) for call in recorder.calls] == [["Ann sat.", "Bob ran."]]
    recorder.calls.clear()
    long = "\n\n".join(f"Line {i}." for i in range(1000))
    found([series(long)], recorder, buffer_windows=300)
    assert [len(call) for call in recorder.calls] == [300, 300, 300, 100]


def test_the_first_rows_come_before_the_input_is_read(pattern_classifier) -> None:
    read = []

    def batches():
        for i in range(10 * FIRST_BUFFER):
            read.append(i)
            yield series(f"Ann {i}.")

    first = next(entities_of_texts(batches(), pattern_classifier, SETTINGS, 4096))
    assert len(first) == len(read) == FIRST_BUFFER


def test_filters_of_the_settings_hold(pattern_classifier) -> None:
    settings = AnnotationSettings(model="m", labels=frozenset({"Number"}), min_score=0.5)
    rows = found([series("Ann 1 12 123")], pattern_classifier, settings)
    assert [(e["text"], e["score"]) for e in rows[0]] == [("1", 1.0), ("12", 0.5)]


def _broken_batches():
    yield series("Ann.")
    raise ValueError("Wrapping canary failed")


class Failing:
    def predict(self, texts):
        raise RuntimeError(f"cannot score {texts[0]}")


def test_no_error_holds_text(pattern_classifier) -> None:
    cases = [
        (_broken_batches(), pattern_classifier, "UTF-8"),
        (iter([series("canary")]), Failing(), "RuntimeError"),
        (iter([series(b"canary")]), pattern_classifier, "bytes"),
    ]
    for batches, classifier, words in cases:
        with pytest.raises(PredictionError, match=words) as caught:
            list(entities_of_texts(batches, classifier, SETTINGS, 10))
        # What a worker prints is the whole chain of errors.
        assert "canary" not in "".join(traceback.format_exception(caught.value))
