"""Each way of matching against an oracle of its own: plain sets, best pairings, the rule written
out once more, or seqeval's own report.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

from training.corpora.form_table import Document
from training.evaluation.measures import MEASURES, OVERALL, count_matches, precision_recall_f1
from udfs.decoding.label_scheme import spans_to_tags
from udfs.spans import Span

TEXT = "alpha beta gamma delta epsilon zeta eta theta"
WORDS = [(0, 5), (6, 10), (11, 16), (17, 22), (23, 30), (31, 35), (36, 39), (40, 45)]
LABELS = ("Chemical", "Disease")


@st.composite
def disjoint_spans(draw):
    """Mentions of whole words that may touch but share none."""
    spans, word = [], 0
    while word < len(WORDS):
        last = min(word + draw(st.integers(0, 2)), len(WORDS) - 1)
        if draw(st.booleans()):
            spans.append(Span(WORDS[word][0], WORDS[last][1], draw(st.sampled_from(LABELS))))
        word = last + 1
    return spans


pairs_of_spans = st.lists(st.tuples(disjoint_spans(), disjoint_spans()), min_size=1, max_size=3)


def count(pairs, measure):
    documents = [Document(str(i), TEXT, tuple(gold)) for i, (gold, _) in enumerate(pairs)]
    return count_matches(documents, [found for _, found in pairs], [measure])[measure]


def points_by_row(pairs, points_of):
    """`points_of(gold, found)` summed over the documents, for each label and for all together."""
    labels = sorted({s.label for pair in pairs for side in pair for s in side})
    rows = {
        label: [
            ([s for s in gold if s.label == label], [s for s in found if s.label == label])
            for gold, found in pairs
        ]
        for label in labels
    }
    rows[OVERALL] = pairs
    return {row: sum(points_of(*pair) for pair in of_row) for row, of_row in rows.items()}


def assert_points(pairs, measure, points_of):
    counts = count(pairs, measure)
    expected = points_by_row(pairs, points_of)
    assert dict(zip(counts.rows, counts.points.sum(0), strict=True)) == expected
    assert counts.gold[:, -1].tolist() == [len(gold) for gold, _ in pairs]
    assert counts.predicted[:, -1].tolist() == [len(found) for _, found in pairs]


def overlap(one, other):
    return one.begin < other.end and other.begin < one.end


@given(pairs_of_spans)
def test_strict_is_what_both_sides_hold(pairs):
    assert_points(pairs, "strict", lambda gold, found: len({*gold} & {*found}))


@given(pairs_of_spans)
def test_exact_is_what_both_sides_hold_without_labels(pairs):
    def borders(spans):
        return {(s.begin, s.end) for s in spans}

    assert_points(pairs, "exact", lambda gold, found: len(borders(gold) & borders(found)))


@settings(max_examples=50)
@given(pairs_of_spans)
def test_partial_is_the_best_pairing_of_overlaps(pairs):
    """By trying every pairing: one point for equal borders, half for an overlap."""

    def points(gold, found):
        few, many = sorted((gold, found), key=len)
        worth = [
            [
                0 if not overlap(a, b) else 1 if (a.begin, a.end) == (b.begin, b.end) else 0.5
                for b in many
            ]
            for a in few
        ]
        best = {frozenset(): 0.0}  # those of `many` that are taken → most points
        for row in worth:
            after = dict(best)
            for (taken, sofar), place in itertools.product(best.items(), range(len(many))):
                if row[place] and place not in taken:
                    now = taken | {place}
                    after[now] = max(after.get(now, 0), sofar + row[place])
            best = after
        return max(best.values())

    assert_points(pairs, "partial", points)


@given(pairs_of_spans)
def test_type_gives_each_prediction_the_nearest_gold_mention_of_its_label(pairs):
    def points(gold, found):
        keys = {(s.begin, s.end, s.label) for s in gold}
        ends = {(s.begin, s.end) for s in gold}
        order = sorted(
            found,
            key=lambda s: (
                (s.begin, s.end, s.label) not in keys,
                (s.begin, s.end) not in ends,
                s.begin,
            ),
        )
        free, right = sorted(gold, key=lambda s: s.begin), 0
        for span in order:
            met = [g for g in free if overlap(g, span)]
            same = [g for g in met if g.label == span.label]
            if same:
                right += 1
                apart = [abs(g.begin - span.begin) + abs(g.end - span.end) for g in same]
                free.remove(same[apart.index(min(apart))])
            elif met:
                free.remove(met[0])
        return right

    assert_points(pairs, "type", points)


@given(pairs_of_spans)
def test_lenient_counts_gold_that_is_met_and_predictions_that_meet_new_gold(pairs):
    counts = count(pairs, "lenient")
    for place, (gold, found) in enumerate(pairs):
        seen, points, wrong = [], 0, 0
        for span in sorted(found, key=lambda s: s.begin):
            met = [g for g in gold if overlap(g, span) and g.label == span.label]
            if not met:
                wrong += 1
            elif all(g not in seen for g in met):
                points += 1
            seen += met
        row = (counts.points[place, -1], counts.gold[place, -1], counts.predicted[place, -1])
        assert row == (points, len(gold), points + wrong)


def test_lenient_by_hand():
    """Three predictions on one gold mention: one counts, and the others not even as wrong."""
    gold = [Span(0, 16, "Disease"), Span(23, 30, "Disease")]
    found = [Span(b, e, "Disease") for b, e in WORDS[:3]] + [Span(31, 35, "Disease")]
    counts = count([(gold, found)], "lenient")
    assert [part.tolist() for part in counts.totals()] == [[1, 1], [2, 2], [2, 2]]
    assert count([([Span(0, 5, "Disease")], [Span(0, 5, "Chemical")])], "lenient").points.sum() == 0


@given(pairs_of_spans)
def test_seqeval_reports_the_same(pairs):
    if not any(gold for gold, _ in pairs) or not any(found for _, found in pairs):
        return  # it refuses to score nothing
    counts = count(pairs, "seqeval")
    expected = precision_recall_fscore_support(
        [spans_to_tags(WORDS, gold) for gold, _ in pairs],
        [spans_to_tags(WORDS, found) for _, found in pairs],
        average="micro",
        scheme=IOB2,
        zero_division=0,
    )
    assert precision_recall_f1(*counts.totals())[-1] == pytest.approx(expected[:3])


def test_tags_are_those_of_tokens_in_sentences():
    """A border inside a token is no fault for seqeval, and a mention over two sentences is two."""
    text = "No fever today.\nChest pain since\n\nMonday"
    gold = [Span(3, 8, "Disease"), Span(16, 26, "Disease")]
    found = [Span(4, 8, "Disease"), Span(16, 40, "Disease")]
    counts = count_matches([Document("1", text, tuple(gold))], [found])
    seqeval, strict = counts["seqeval"], counts["strict"]
    assert (strict.points[0, -1], seqeval.points[0, -1]) == (0, 1)
    assert seqeval.predicted[0, -1] == 3


@given(pairs_of_spans)
def test_what_is_laxer_never_finds_less(pairs):
    points = {measure: count(pairs, measure).points.sum(0)[:-1] for measure in MEASURES}
    assert (points["strict"] <= points["partial"]).all()
    assert (points["partial"] <= points["type"]).all()


def test_every_measure_counts_every_document_and_row():
    pairs = [([Span(0, 5, "A")], []), ([], [Span(0, 5, "B")]), ([], [])]
    for measure in MEASURES:
        counts = count(pairs, measure)
        assert counts.rows == ("A", "B", OVERALL)
        assert counts.points.shape == (3, 3)
        assert np.array_equal(precision_recall_f1(*counts.totals()), np.zeros((3, 3)))
