"""Scores are held against two oracles: plain sets of keys, and seqeval on mentions as tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

from training.corpora.form_table import Document
from training.evaluation.strict_scores import LabelScore, predict_documents, score_documents
from udfs.decoding.label_scheme import spans_to_tags
from udfs.errors import InputError
from udfs.spans import Span

WORDS = [(4 * i, 4 * i + 3) for i in range(12)]
TEXT = "abc " * 12

label = st.sampled_from(["Chemical", "Disease"])
any_spans = st.lists(
    st.builds(
        lambda begin, length, name: Span(begin, begin + length, name),
        st.integers(0, 12),
        st.integers(1, 4),
        label,
    ),
    max_size=8,
)


@st.composite
def disjoint_spans(draw):
    """Mentions of whole words that do not overlap, but may touch."""
    spans, word = [], 0
    while word < len(WORDS):
        length = draw(st.integers(1, 3))
        if draw(st.booleans()) and word + length <= len(WORDS):
            spans.append(Span(WORDS[word][0], WORDS[word + length - 1][1], draw(label)))
        word += length
    return spans


def by_sets(gold, predicted):
    """The oracle: true positives are what both sets hold."""

    def keys(documents):
        return {(i, s.begin, s.end, s.label) for i, spans in enumerate(documents) for s in spans}

    def score(true, found):
        correct = len(true & found)
        precision = correct / len(found) if found else 0.0
        recall = correct / len(true) if true else 0.0
        f1 = 2 * correct / (len(true) + len(found)) if correct else 0.0
        return LabelScore(precision, recall, f1, len(true), len(found), correct)

    true, found = keys(gold), keys(predicted)
    names = sorted({key[3] for key in true | found})
    per_label = {
        name: score({k for k in true if k[3] == name}, {k for k in found if k[3] == name})
        for name in names
    }
    return {**per_label, "overall": score(true, found)}


def documents(gold):
    return [Document(str(i), TEXT, tuple(spans)) for i, spans in enumerate(gold)]


def assert_same(scores, expected):
    assert scores.rows().keys() == expected.keys()
    for name, row in scores.rows().items():
        wanted = expected[name]
        assert (row.gold, row.predicted, row.correct) == (
            wanted.gold,
            wanted.predicted,
            wanted.correct,
        )
        assert row.precision == pytest.approx(wanted.precision)
        assert row.recall == pytest.approx(wanted.recall)
        assert row.f1 == pytest.approx(wanted.f1)


@given(st.lists(st.tuples(any_spans, any_spans), min_size=1, max_size=3))
def test_any_spans_score_as_sets_do(pairs):
    gold, predicted = zip(*pairs, strict=True)
    assert_same(score_documents(documents(gold), predicted), by_sets(gold, predicted))


@given(st.lists(st.tuples(disjoint_spans(), disjoint_spans()), min_size=1, max_size=3))
def test_mentions_of_words_score_as_in_seqeval(pairs):
    gold, predicted = zip(*pairs, strict=True)
    if not any(gold) or not any(predicted):
        return  # seqeval's strict mode refuses to score nothing
    overall = score_documents(documents(gold), predicted).overall
    precision, recall, f1, _ = precision_recall_fscore_support(
        [spans_to_tags(WORDS, spans) for spans in gold],
        [spans_to_tags(WORDS, spans) for spans in predicted],
        average="micro",
        scheme=IOB2,
        zero_division=0,
    )
    assert (overall.precision, overall.recall, overall.f1) == pytest.approx((precision, recall, f1))


def test_touching_mentions_do_not_overlap():
    """nervaluate's ends are inclusive: with ours, the first prediction would use up both."""
    gold = documents([[Span(0, 3, "Disease"), Span(3, 6, "Disease")]])
    scores = score_documents(gold, [[Span(3, 6, "Disease")]])
    assert (scores.overall.correct, scores.overall.precision, scores.overall.recall) == (
        1,
        1.0,
        0.5,
    )


def test_nothing_to_find_and_nothing_found():
    assert score_documents(documents([[]]), [[]]).overall == LabelScore(0.0, 0.0, 0.0, 0, 0, 0)
    assert score_documents([], []).labels == {}


def test_one_prediction_for_each_document():
    with pytest.raises(InputError, match="2 documents but 1 predictions"):
        score_documents(documents([[], []]), [[]])


def test_rounded_numbers_for_the_manifest():
    scores = score_documents(
        documents([[Span(0, 3, "A"), Span(4, 7, "A"), Span(8, 11, "A")]]), [[]]
    )
    found = score_documents(
        documents([[Span(0, 3, "A"), Span(4, 7, "A"), Span(8, 11, "A")]]), [[Span(0, 3, "A")]]
    )
    assert scores.to_dict()["A"]["predicted"] == 0
    assert found.to_dict()["overall"]["recall"] == 0.3333


def test_predictions_come_through_the_production_path(tiny_package, tiny_documents):
    from udfs.classifiers.token_classifier import TokenClassifier

    classifier = TokenClassifier.load(tiny_package, device="cpu", precision="float32")
    scores = score_documents(tiny_documents, predict_documents(tiny_documents, classifier))
    assert scores.overall.f1 == 1.0
    assert scores.overall.gold == 7
