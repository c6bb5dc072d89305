import pickle
import traceback
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest

from udfs import arrow_schemas
from udfs.annotation.note_annotation import score_windows
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import PredictionError
from udfs.spans import WindowPrediction
from udfs.stages import arrow_stages
from udfs.stages.arrow_stages import annotate_batches, classify_batches, segment_batches
from udfs.text.segmentation import segment_note
from udfs.text.text_hash import keyed_hash

KEY = b"k" * 32
SETTINGS = AnnotationSettings(model="m", entity_types={"name": "person"})
NOTES = {
    "n1": "Ann took 5.\r\nBob took 12? Nobody else.",
    "n2": "",
    "n3": " \n\t",
    "n4": "😀 Zoe.\n\nAnn took 5.",
    "n5": "[**Name 7**] left.",
}
SECRET = "Jane Doe has cancer"
SPANS = arrow_schemas.PREDICTION.field("spans").type
WINDOWS = pa.list_(
    pa.struct(
        [
            pa.field("begin", pa.int32()),
            pa.field("end", pa.int32()),
            pa.field("spans", SPANS),
            pa.field("wordpieces", pa.int32()),
            pa.field("unread_characters", pa.int32()),
        ]
    )
)


def in_batches(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of so many rows, with one of no rows before each."""
    for batch in table.to_batches(max_chunksize=rows):
        yield batch.slice(0, 0)
        yield batch


def rows_of(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> list[dict[str, object]]:
    found = []
    for batch in batches:
        assert batch.schema.equals(schema)
        found += batch.to_pylist()
    return found


def notes_table() -> pa.Table:
    # Spark may send more columns than a stage asks for, in any order.
    columns = {"x": [0] * len(NOTES), "text": list(NOTES.values()), "note_id": list(NOTES)}
    return pa.table(columns)


def windows_of(rows: int = 100) -> list[dict[str, object]]:
    return rows_of(segment_batches(in_batches(notes_table(), rows), KEY), arrow_schemas.WINDOW)


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize("at_a_time", [1, 3, 10_000])
def test_every_window_of_every_note_is_a_row(monkeypatch, rows, at_a_time):
    monkeypatch.setattr(arrow_stages, "ROWS_PER_BATCH", at_a_time)
    batches = list(segment_batches(in_batches(notes_table(), rows), KEY))
    assert all(0 < batch.num_rows <= at_a_time for batch in batches)
    hash_text = keyed_hash(KEY)
    assert rows_of(iter(batches), arrow_schemas.WINDOW) == [
        {
            "note_id": note_id,
            "window_index": index,
            "begin": begin,
            "end": end,
            "window_hash": hash_text(text[begin:end]),
            "text": text[begin:end],
        }
        for note_id, text in NOTES.items()
        for index, (begin, end) in enumerate(segment_note(text))
    ]


def window_table() -> pa.Table:
    return pa.Table.from_pylist(windows_of()).select(["text", "window_hash"])


def buffers(texts: list[str], windows: int, characters: int) -> list[int]:
    """How many windows each call of the engine has: as many as fill the buffer, then the rest."""
    sizes = []
    while texts:
        n = 1
        while n < min(windows, len(texts)) and sum(map(len, texts[:n])) < characters:
            n += 1
        sizes.append(n)
        texts = texts[n:]
    return sizes


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize(
    ("windows", "characters"), [(1, 10**6), (3, 10**6), (100, 10**6), (100, 20)]
)
def test_every_window_gets_its_prediction(pattern_classifier, rows, windows, characters):
    table = window_table()
    sizes = []

    class Spy:
        def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
            sizes.append(len(texts))
            return pattern_classifier.predict(texts)

    found = rows_of(
        classify_batches(in_batches(table, rows), Spy(), windows, characters),
        arrow_schemas.PREDICTION,
    )
    assert [row["window_hash"] for row in found] == table.column("window_hash").to_pylist()
    predictions = pattern_classifier.predict(table.column("text").to_pylist())
    for row, p in zip(found, predictions, strict=True):
        spans = [(s["begin"], s["end"], s["label"]) for s in row["spans"]]
        assert spans == [(s.begin, s.end, s.label) for s in p.spans]
        assert [s["score"] for s in row["spans"]] == pytest.approx([s.score for s in p.spans])
        assert (row["wordpieces"], row["unread_characters"]) == (p.wordpieces, p.unread_characters)
    assert sizes == buffers(table.column("text").to_pylist(), windows, characters)


def test_stages_without_rows_give_none(pattern_classifier):
    empty = pa.table({"note_id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    assert list(segment_batches(in_batches(empty, 1), KEY)) == []
    assert list(segment_batches(iter([]), KEY)) == []
    assert list(classify_batches(iter([]), pattern_classifier, 10)) == []
    assert (
        list(classify_batches(iter([window_table().to_batches()[0][:0]]), pattern_classifier, 10))
        == []
    )
    assert list(annotate_batches(iter([]), SETTINGS)) == []
    batch = annotated_table(pattern_classifier).to_batches()[0][:0]
    assert rows_of(annotate_batches(iter([batch]), SETTINGS), arrow_schemas.ANNOTATED_NOTE) == []


def scored(text: str, classifier: object) -> list[dict[str, object]] | None:
    return [
        {
            "begin": w.begin,
            "end": w.end,
            "spans": [arrow_stages._span_row(span) for span in w.spans],
            "wordpieces": w.wordpieces,
            "unread_characters": w.unread_characters,
        }
        for w in score_windows(text, classifier)
    ] or None


def annotated_table(classifier: object) -> pa.Table:
    windows = pa.array([scored(text, classifier) for text in NOTES.values()], WINDOWS)
    return pa.table({"windows": windows, "text": list(NOTES.values()), "note_id": list(NOTES)})


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_every_note_is_annotated(pattern_classifier, rows):
    table = annotated_table(pattern_classifier)
    assert table.column("windows").null_count == 2  # the blank notes
    found = rows_of(
        annotate_batches(in_batches(table, rows), SETTINGS), arrow_schemas.ANNOTATED_NOTE
    )
    assert [row["note_id"] for row in found] == list(NOTES)
    counts = ("characters", "windows", "wordpieces", "unread_characters")
    assert [tuple(row[name] for name in counts) for row in found] == [
        (len(NOTES["n1"]), 3, 8, 1),
        (0, 0, 0, 0),
        (3, 0, 0, 0),
        (len(NOTES["n4"]), 2, 5, 0),
        (len(NOTES["n5"]), 1, 3, 0),
    ]
    texts = [[entity["text"] for entity in row["entities"]] for row in found]
    assert texts == [["Ann", "5", "Bob", "12", "Nobody"], [], [], ["Zoe", "Ann", "5"], []]
    for row in found:
        for entity in row["entities"]:
            text = NOTES[row["note_id"]]
            assert text[entity["begin"] : entity["end"]] == entity["text"]
    assert found[0]["entities"][0]["entity_type"] == "person"


def failure(batches: Iterator[pa.RecordBatch]) -> PredictionError:
    with pytest.raises(PredictionError) as caught:
        list(batches)
    return caught.value


def check_silent(error: PredictionError) -> None:
    """No word of the text reaches the message, a printed traceback or what Spark pickles."""
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    printed = "".join(traceback.format_exception(error))
    for words in (str(error), repr(error.args), printed):
        assert "Jane" not in words
        assert "cancer" not in words
    assert b"Jane" not in pickle.dumps(error)


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
def test_an_engine_that_fails_with_the_text_in_its_message_is_silenced(kind):
    class Broken:
        def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
            raise kind(f"cannot read {texts[0]}")

    table = pa.table({"window_hash": ["0123456789abcdef"], "text": [SECRET]})
    error = failure(classify_batches(iter(table.to_batches()), Broken(), 10))
    assert kind.__name__ in str(error)
    assert "1 windows, the first with hash 0123456789ab…" in str(error)
    check_silent(error)


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_an_engine_with_too_few_or_too_many_answers_is_refused(answers):
    class Miscounting:
        def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
            return [WindowPrediction((), 0, 0)] * answers

    table = pa.table({"window_hash": ["a", "b"], "text": [SECRET, SECRET]})
    with pytest.raises(ValueError, match="length") as caught:
        list(classify_batches(iter(table.to_batches()), Miscounting(), 10))
    assert "Jane" not in str(caught.value)


def one_note(window: dict[str, object]) -> Iterator[pa.RecordBatch]:
    full = {"begin": 0, "end": 8, "spans": [], "wordpieces": 2, "unread_characters": 0, **window}
    windows = pa.array([[full]], WINDOWS)
    return iter(pa.table({"note_id": ["n7"], "text": [SECRET], "windows": windows}).to_batches())


def test_a_window_without_a_prediction_is_an_error_that_names_the_note():
    missing = {"spans": None, "wordpieces": None, "unread_characters": None}
    error = failure(annotate_batches(one_note(missing), SETTINGS))
    assert "note n7: the window at 0-8 has no prediction" in str(error)
    check_silent(error)


@pytest.mark.parametrize(
    "window",
    [
        {"end": 99},
        {"spans": [{"begin": 0, "end": 9, "label": "X", "score": 1.0}]},
        {"spans": [{"begin": 5, "end": 5, "label": "X", "score": 1.0}]},
    ],
)
def test_a_prediction_of_another_text_is_an_error_that_names_the_note(window):
    error = failure(annotate_batches(one_note(window), SETTINGS))
    assert "note n7: the stored predictions do not fit its text" in str(error)
    check_silent(error)
