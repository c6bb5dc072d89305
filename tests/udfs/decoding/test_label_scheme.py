from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU as SEQEVAL_BILOU
from seqeval.scheme import IOBES, Entities

from udfs.decoding.label_scheme import (
    LabelScheme,
    bio_labels,
    find_scheme,
    spans_to_tags,
    tags_to_spans,
)
from udfs.spans import Span

TAGS = bio_labels(["Chemical", "Disease", "X-ray"])
SEQUENCES = st.lists(st.sampled_from(TAGS), max_size=12)


def slow_mentions(tags: list[str]) -> list[tuple[str, int, int]]:
    """The repair rules for BIO, one word after the other: label, first word, last word."""
    found: list[tuple[str, int, int]] = []
    before = "O"
    for i, tag in enumerate(tags):
        if tag != "O":
            continues = tag[:2] == "I-" and before[2:] == tag[2:]
            if continues:
                label, first, _ = found.pop()
                found.append((label, first, i))
            else:
                found.append((tag[2:], i, i))
        before = tag
    return found


def decoded(
    sequences: list[list[str]], known: tuple[str, ...] = TAGS, name: str = "bio"
) -> list[tuple[str, int, int]]:
    """What the scheme makes of sequences laid end to end, in words of the whole."""
    scheme = LabelScheme(known, name)
    tags = [tag for sequence in sequences for tag in sequence]
    starts = [i == 0 for sequence in sequences for i in range(len(sequence))]
    ids = np.array([known.index(tag) for tag in tags], dtype=np.int64)
    found = scheme.decode(ids, np.array(starts, dtype=bool))
    labels = [scheme.entity_labels[number] for number in found.label]
    return list(zip(labels, found.first.tolist(), found.last.tolist(), strict=True))


@pytest.mark.parametrize(
    ("tags", "mentions"),
    [
        ("O O", []),
        ("B-Chemical I-Chemical O", [("Chemical", 0, 1)]),
        ("B-Chemical B-Chemical", [("Chemical", 0, 0), ("Chemical", 1, 1)]),
        ("I-Chemical I-Chemical", [("Chemical", 0, 1)]),
        ("O I-Disease O", [("Disease", 1, 1)]),
        ("B-Chemical I-Disease", [("Chemical", 0, 0), ("Disease", 1, 1)]),
        ("I-Chemical B-Chemical", [("Chemical", 0, 0), ("Chemical", 1, 1)]),
        ("B-X-ray I-X-ray", [("X-ray", 0, 1)]),
    ],
)
def test_repair_rules(tags, mentions):
    assert decoded([tags.split()]) == slow_mentions(tags.split()) == mentions


@given(SEQUENCES)
def test_decode_agrees_with_seqeval_and_with_the_slow_loop(tags):
    assert decoded([tags]) == slow_mentions(tags) == get_entities(tags)


BILOU_TAGS = ("O", *(f"{prefix}-{label}" for label in ("A", "B") for prefix in "BILU"))
TO_IOBES = str.maketrans("LU", "ES")


def all_sequences(tags: tuple[str, ...], longest: int) -> list[list[str]]:
    return [list(s) for n in range(longest + 1) for s in product(tags, repeat=n)]


def test_bilou_is_repaired_as_seqeval_does_by_default():
    """Every sequence of four tags, impossible ones too. seqeval's default knows E and S only."""
    for tags in all_sequences(BILOU_TAGS, 4):
        iobes = [tag[:1].translate(TO_IOBES) + tag[1:] for tag in tags]
        expected = get_entities(iobes)
        assert decoded([tags], BILOU_TAGS, "bilou") == expected
        known = tuple(tag[:1].translate(TO_IOBES) + tag[1:] for tag in BILOU_TAGS)
        assert decoded([iobes], known, "bilou") == expected


def test_bilou_that_is_possible_is_what_seqeval_finds_strictly():
    """Of impossible sequences seqeval's schemes drop what is not whole; here nothing is lost."""
    possible = 0
    for tags in all_sequences(BILOU_TAGS, 4):
        iobes = [tag[:1].translate(TO_IOBES) + tag[1:] for tag in tags]
        found = decoded([tags], BILOU_TAGS, "bilou")
        for sequence, scheme in ((tags, SEQEVAL_BILOU), (iobes, IOBES)):
            [strict] = Entities([sequence], scheme).entities
            whole = [(e.tag, e.start, e.end - 1) for e in strict]
            if sum(b - a + 1 for _, a, b in whole) == sum(tag != "O" for tag in tags):
                possible += 1
                assert found == whole
    assert possible > 300


@pytest.mark.parametrize(
    ("tags", "mentions"),
    [
        ("B-A I-A L-A", [("A", 0, 2)]),
        ("U-A U-A", [("A", 0, 0), ("A", 1, 1)]),
        ("B-A O", [("A", 0, 0)]),
        ("O L-A O", [("A", 1, 1)]),
        ("I-A L-A I-A", [("A", 0, 1), ("A", 2, 2)]),
        ("B-A L-B", [("A", 0, 0), ("B", 1, 1)]),
        ("U-A L-A", [("A", 0, 0), ("A", 1, 1)]),
    ],
)
def test_bilou_repair_rules(tags, mentions):
    assert decoded([tags.split()], BILOU_TAGS, "bilou") == mentions


@given(st.lists(st.sampled_from(["O", "A", "B", "I-131"]), max_size=8))
def test_plain_labels_join_their_neighbours(tags):
    known = ("O", "A", "B", "I-131")
    expected = [f"I-{tag}" if tag != "O" else tag for tag in tags]
    assert decoded([tags], known, "plain") == slow_mentions(expected)
    assert decoded([["A"], ["A"]], known, "plain") == [("A", 0, 0), ("A", 1, 1)]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-A", "I-A"], "bio"),
        (["I-A", "O"], "bio"),
        (["O", "B-A", "I-A", "L-A", "U-A"], "bilou"),
        (["O", "B-A", "I-A", "E-A", "S-A"], "bilou"),
        (["O", "A", "Sign_symptom"], "plain"),
    ],
)
def test_the_scheme_is_seen_in_the_tags(tags, scheme):
    assert find_scheme(tags) == scheme
    assert LabelScheme(tags, scheme).tags == tuple(tags)


def test_tags_of_two_kinds_are_refused():
    with pytest.raises(ValueError, match=r"some of the tags .* have a prefix"):
        find_scheme(["O", "B-A", "A"])
    with pytest.raises(ValueError, match=r"'A' is not O, B-<label>, .* or S-<label>: use BILOU"):
        LabelScheme(["O", "A"], "bilou")
    with pytest.raises(ValueError, match="label_scheme is 'iob', not one of bio, bilou, plain"):
        LabelScheme(["O"], "iob")


@given(st.lists(SEQUENCES, max_size=8))
def test_no_mention_runs_from_one_sequence_into_the_next(sequences):
    expected = []
    shift = 0
    for tags in sequences:
        expected += [(label, a + shift, b + shift) for label, a, b in get_entities(tags)]
        shift += len(tags)
    assert decoded(sequences) == expected


@st.composite
def tagged_words(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[Span]]:
    """Words in text order, and disjoint spans that begin and end with a word."""
    steps = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), max_size=12))
    words = []
    position = 0
    for gap, length in steps:
        words.append((position + gap, position + gap + length))
        position += gap + length
    spans = []
    first = 0
    while first < len(words):
        last = draw(st.integers(first, len(words) - 1))
        if draw(st.booleans()):
            label = draw(st.sampled_from(["Chemical", "Disease"]))
            spans.append(Span(words[first][0], words[last][1], label))
        first = last + 1
    return words, spans


@given(tagged_words())
def test_spans_survive_the_way_through_tags(case):
    words, spans = case
    tags = spans_to_tags(words, spans)
    assert tags_to_spans(words, tags) == spans
    assert spans_to_tags(words, tags_to_spans(words, tags)) == tags
    assert spans_to_tags(words, spans[::-1]) == tags


WORDS = [(0, 4), (5, 9), (9, 10), (11, 15)]


@pytest.mark.parametrize(
    ("spans", "tags"),
    [
        ([Span(0, 9, "X")], "B-X I-X O O"),
        ([Span(2, 6, "X")], "B-X I-X O O"),
        ([Span(6, 7, "X")], "O B-X O O"),
        ([Span(4, 5, "X")], "O O O O"),
        ([Span(0, 4, "X"), Span(5, 9, "X")], "B-X B-X O O"),
        ([Span(0, 6, "X"), Span(7, 10, "Y")], "B-X I-X B-Y O"),
        ([Span(5, 9, "Y"), Span(0, 10, "X")], "B-X I-X I-X O"),
        ([Span(11, 99, "X"), Span(99, 100, "X")], "O O O B-X"),
        ([], "O O O O"),
    ],
)
def test_a_word_that_overlaps_a_span_belongs_to_it(spans, tags):
    assert spans_to_tags(WORDS, spans) == tags.split()


def test_the_tags_of_a_model():
    assert bio_labels(["A", "B"]) == ("O", "B-A", "I-A", "B-B", "I-B")
    assert bio_labels([]) == ("O",)
    scheme = LabelScheme(["I-A", "O", "B-B", "B-A", "I-B"])
    assert scheme.entity_labels == ("A", "B")
    assert [columns.tolist() for columns in scheme.columns_of] == [[0, 3], [2, 4]]
    assert decoded([]) == []


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        (["O", "E-A"], "'E-A' is not O, B-<label> or I-<label>"),
        (["O", "B-"], "'B-' is not"),
        (["O", ""], "'' is not"),
        (["O", "b-A"], "'b-A' is not"),
        (["O", "B-A", "B-A"], "stands twice"),
        (["B-A"], "O is missing"),
        ([], "O is missing"),
    ],
)
def test_bad_tags_are_refused(tags, why):
    with pytest.raises(ValueError, match=why):
        LabelScheme(tags)


def test_each_word_needs_one_tag():
    with pytest.raises(ValueError, match="2 words but 1 tags"):
        tags_to_spans([(0, 1), (1, 2)], ["O"])
    with pytest.raises(ValueError, match="'U-A' is not"):
        tags_to_spans([(0, 1)], ["U-A"])
