import numpy as np
import pytest

from training.comparison.note_texts import read_note_texts
from training.comparison.promotion import Gate, broken_rules, compare, compare_notes
from training.corpora.form_table import Document
from training.evaluation.measures import STRICT, count_matches
from udfs.errors import InputError
from udfs.spans import Span

WORDS = [(10 * n, 10 * n + 5) for n in range(10)]


def counts(right_of_document, label="Disease", number=60, labels=("Disease",)):
    """Documents with ten mentions each, of which so many are found."""
    spans = [Span(b, e, label) for b, e in WORDS]
    gold = [Document(str(n), "x" * 100, tuple(spans)) for n in range(number)]
    found = [spans[: right_of_document(n)] for n in range(number)]
    return count_matches(gold, found, [STRICT], labels)[STRICT]


def test_equal_models_pass_and_worse_ones_do_not():
    champion = counts(lambda n: 6 + n % 4)
    assert broken_rules(Gate(), compare(champion, champion), None) == []
    better = counts(lambda n: 7 + n % 4)
    assert broken_rules(Gate(), compare(better, champion), None) == []
    (overall, label) = sorted(broken_rules(Gate(), compare(champion, better), None))
    assert overall.startswith("F1 may be worse than the champion's by 0.01 or more: -0.0")
    assert label.startswith("F1 of Disease is worse than the champion's")


def test_a_difference_that_the_test_cannot_tell_counts_against_the_candidate():
    """Better on most documents, far worse on a few: the interval reaches below the margin."""
    champion = counts(lambda n: 8, number=20)
    candidate = counts(lambda n: 2 if n % 10 == 0 else 9, number=20)
    found = compare(candidate, champion)
    assert found.difference[-1, 0] > 0
    assert len(broken_rules(Gate(), found, None)) == 1
    assert broken_rules(Gate(margin=0.5), found, None) == []


def test_a_label_that_the_candidate_lacks_is_a_worse_label():
    gold = [Document(str(n), "x" * 100, (Span(0, 5, "A"), Span(10, 15, "B"))) for n in range(30)]
    both = [list(document.spans) for document in gold]
    without = [[span for span in spans if span.label == "A"] for spans in both]
    ours, theirs = (
        count_matches(gold, found, [STRICT], ["A", "B"])[STRICT] for found in (without, both)
    )
    broken = broken_rules(Gate(margin=1.0), compare(ours, theirs), None)
    assert [words[:10] for words in broken] == ["F1 of B is"]


def test_floors_hold_without_a_champion():
    found = compare(counts(lambda n: 5), None)
    assert found.difference is None
    assert found.candidate == pytest.approx(np.array([2 / 3, 2 / 3]))
    gate = Gate(floors={"Disease": 0.7, "overall": 0.6})
    assert broken_rules(gate, found, None) == ["F1 of Disease is 0.6667, below the floor 0.7"]
    with pytest.raises(InputError, match="a floor is set for Drug"):
        broken_rules(Gate(floors={"Drug": 0.5}), found, None)


def test_changes_in_notes_by_label():
    champion = [
        [Span(0, 5, "A"), Span(10, 15, "A"), Span(20, 25, "B")],
        [Span(0, 5, "A")],
        [Span(0, 5, "A")],
    ]
    candidate = [
        [Span(0, 5, "A", 0.3), Span(10, 15, "B"), Span(30, 35, "A")],
        [Span(0, 6, "A")],
        [Span(0, 5, "A", 0.1)],
    ]
    changes = compare_notes(champion, candidate)
    assert (changes.notes, changes.changed) == (3, 2)
    assert changes.kept == {"A": 2}
    assert changes.relabelled == {("A", "B"): 1}
    assert changes.gained == {"A": 2}
    assert changes.lost == {"B": 1, "A": 1}
    found = compare(counts(lambda n: 5), None)
    assert broken_rules(Gate(max_changed=0.7), found, changes) == []
    assert broken_rules(Gate(max_changed=0.6), found, changes) == [
        "66.7% of the notes change, more than 60.0%"
    ]


@pytest.mark.parametrize("values", [{"margin": -0.1}, {"floors": {"A": 2.0}}, {"max_changed": 5.0}])
def test_a_gate_of_impossible_numbers_is_refused(values):
    with pytest.raises(InputError, match="must be from 0 to 1"):
        Gate(**values)


def test_texts_of_notes(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"text": "a\\u2028b"}\n{"TEXT": "c"}\n{"text": null}\n{"text": " "}\n')
    assert read_note_texts(path) == ["a\u2028b", "c"]
    assert read_note_texts(path, limit=1) == ["a\u2028b"]
    for line, rule in (
        ('{"body": "secret"}', "line 1: must be a JSON object with a text"),
        ("secret", "line 1: must be"),
        ('{"text": 3}', "line 1: must be"),
        ('{"text": ""}', "there is no text in it"),
    ):
        path.write_text(line + "\n")
        with pytest.raises(InputError, match=rule) as caught:
            read_note_texts(path)
        assert "secret" not in str(caught.value)
