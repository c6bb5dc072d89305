from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.annotation.entity_merging import ScoredWindow
from udfs.annotation.note_annotation import (
    EntityRow,
    annotate_note,
    entity_id,
    find_entities,
    score_windows,
)
from udfs.annotation.steps import AnnotationSettings
from udfs.spans import Span, WindowPrediction

SETTINGS = AnnotationSettings(model="m", entity_types={"name": "person"})
PIECES = [
    "Smith",
    "Ann ",
    "12",
    " took",
    ". ",
    "\n",
    "\r\n\r\n",
    "\x00",
    "😀",
    "e\u0301",
    "[**X 7**]",
    "___",
    "?",
]
NOTES = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join)


def rows_of(
    text: str, classifier: object, settings: AnnotationSettings = SETTINGS, note_id: str = "n"
) -> list[EntityRow]:
    return annotate_note(note_id, text, score_windows(text, classifier), settings)


def test_rows_of_a_note(pattern_classifier):
    rows = rows_of("Ann took 5.\nAnn left.", pattern_classifier)
    found = [(r.begin, r.end, r.text, r.label, r.entity_type) for r in rows]
    assert found == [
        (0, 3, "Ann", "Name", "person"),
        (9, 10, "5", "Number", "number"),
        (12, 15, "Ann", "Name", "person"),
    ]
    assert rows[1].score == 1.0


@given(text=NOTES)
def test_every_row_quotes_the_note_at_its_offsets(pattern_classifier, text):
    rows = rows_of(text, pattern_classifier)
    for row in rows:
        assert text[row.begin : row.end] == row.text
        assert any(c.isalnum() for c in row.text)
    places = [(row.begin, row.end) for row in rows]
    assert places == sorted(places)
    assert len({row.entity_id for row in rows}) == len(rows)
    mentions = find_entities(text, pattern_classifier)
    assert [(m.begin, m.end, m.label) for m in mentions] == [
        (r.begin, r.end, r.label) for r in rows
    ]


@given(text=NOTES)
def test_rows_are_those_of_the_windows_scored_alone(pattern_classifier, text):
    """Nothing that stands elsewhere in the note changes what is found in a window."""
    rows = rows_of(text, pattern_classifier)
    alone = [
        (w.begin + r.begin, w.begin + r.end, r.label)
        for w in score_windows(text, pattern_classifier)
        for r in rows_of(text[w.begin : w.end], pattern_classifier)
    ]
    assert [(r.begin, r.end, r.label) for r in rows] == alone


def test_blanks_give_no_rows(pattern_classifier):
    rows = rows_of("Seen by [**Doctor 7**] and [**Known lastname 12**] at ___.", pattern_classifier)
    assert [row.text for row in rows] == ["Seen"]


@pytest.mark.parametrize("text", ["", " \n", "nothing here"])
def test_a_note_without_mentions_has_no_rows(pattern_classifier, text):
    assert rows_of(text, pattern_classifier) == []
    assert find_entities(text, pattern_classifier) == []


def test_each_distinct_window_is_scored_once(pattern_classifier):
    calls = []

    class Spy:
        def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
            calls.append(list(texts))
            return pattern_classifier.predict(texts)

    windows = score_windows("Ann left.\n\nBob came.\n\nAnn left.", Spy())
    assert [(w.begin, w.end) for w in windows] == [(0, 9), (11, 20), (22, 31)]
    assert calls == [["Ann left.", "Bob came."]]
    assert windows[0].spans == windows[2].spans
    assert [w.wordpieces for w in windows] == [2, 2, 2]


@pytest.mark.parametrize(
    ("labels", "min_score", "texts"),
    [
        (None, 0.0, ["Ann", "5", "23"]),
        (frozenset({"Name"}), 0.0, ["Ann"]),
        (frozenset({"name"}), 0.0, []),
        (frozenset(), 0.0, []),
        (None, 0.5, ["5", "23"]),
        (None, 0.51, ["5"]),
        (frozenset({"Name", "Number"}), 1.0, ["5"]),
    ],
)
def test_filters(pattern_classifier, labels, min_score, texts):
    settings = AnnotationSettings(model="m", labels=labels, min_score=min_score)
    rows = rows_of("Ann took 5 or 23 of them", pattern_classifier, settings)
    assert [row.text for row in rows] == texts


def test_the_type_of_a_label_is_found_in_lower_case():
    windows = [ScoredWindow(0, 4, (Span(0, 1, "DRUG"), Span(2, 3, "Other")), 2, 0)]
    settings = AnnotationSettings(model="m", entity_types={"drug": "medication"})
    rows = annotate_note("n", "a b ", windows, settings)
    assert [(r.label, r.entity_type) for r in rows] == [("DRUG", "medication"), ("Other", "other")]


def test_the_id_of_a_mention_never_changes():
    """A change of this value orphans every row that was ever written."""
    expected = "edceb760e2008bf27f1dbf1a0a7da9640093cc964d1087ae11fb722ba7a53f0b"
    assert entity_id("note 1", Span(3, 8, "Disease", 0.9), "model") == expected
    assert entity_id("note 1", Span(3, 8, "Disease", 0.1), "model") == expected


def test_ids_differ_wherever_anything_but_the_score_differs():
    ids = {
        entity_id(note, Span(begin, end, label), model)
        for note in ("1", "11", "\ud800", "")
        for begin, end in ((1, 2), (11, 2), (1, 12), (112, 113))
        for label in ("A", "B")
        for model in ("m", "n")
    }
    assert len(ids) == 4 * 4 * 2 * 2


def test_a_prediction_of_another_text_is_refused():
    windows = [ScoredWindow(0, 4, (Span(0, 9, "X"),), 1, 0)]
    with pytest.raises(ValueError, match="does not fit its window"):
        annotate_note("n", "text of a note", windows, SETTINGS)
