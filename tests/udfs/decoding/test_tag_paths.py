"""The best path beside a search of all paths, for sequences short enough for that."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.decoding import tag_paths
from udfs.decoding.label_scheme import ARGMAX, PLAIN, VITERBI, LabelScheme, bio_labels

TAGS = bio_labels(["Chemical", "Disease"])
SCHEME = LabelScheme(TAGS, decoding=VITERBI)


def is_possible(tags):
    before = "O"
    for tag in tags:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            return False
        before = tag
    return True


def best_of_all(probabilities):
    """By trying every sequence."""
    logs = np.log(probabilities)
    words = range(len(probabilities))
    every = itertools.product(range(len(TAGS)), repeat=len(probabilities))
    possible = [path for path in every if is_possible([TAGS[tag] for tag in path])]
    return max(possible, key=lambda path: sum(logs[word, path[word]] for word in words))


def drawn(words, seed):
    rng = np.random.default_rng(seed)
    raw = rng.dirichlet(np.full(len(TAGS), 0.4), size=words)
    return np.maximum(raw, 1e-12)


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=6), seed=st.integers(0, 10**6))
def test_it_is_the_best_of_all_possible_ones(lengths, seed):
    probabilities = drawn(sum(lengths), seed)
    begins = np.cumsum([0, *lengths[:-1]])
    starts = np.isin(np.arange(sum(lengths)), begins)
    found = SCHEME.choose(probabilities, starts)
    expected = [
        tag
        for begin, length in zip(begins, lengths, strict=True)
        for tag in best_of_all(probabilities[begin : begin + length])
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize("group", [1, 40, 10**6])
def test_long_sequences_in_groups_of_any_size(monkeypatch, group):
    monkeypatch.setattr(tag_paths, "GROUP_WORDS", group)
    lengths = [1, 300, 20, 20, 7, 1, 33]
    probabilities = drawn(sum(lengths), 5)
    starts = np.isin(np.arange(sum(lengths)), np.cumsum([0, *lengths[:-1]]))
    found = SCHEME.choose(probabilities, starts)
    monkeypatch.undo()
    assert found.tolist() == SCHEME.choose(probabilities, starts).tolist()
    begin = 0
    for length in lengths:
        tags = [TAGS[tag] for tag in found[begin : begin + length]]
        assert is_possible(tags)
        begin += length
    assert found.tolist() != probabilities.argmax(axis=1).tolist()


def test_possible_tags_stay_as_they_are():
    probabilities = np.eye(5)[[0, 1, 2, 2, 3, 3, 4, 0]]
    starts = np.array([True, *[False] * 7])
    assert SCHEME.choose(probabilities, starts).tolist() == [0, 1, 2, 2, 3, 3, 4, 0]


def test_an_inner_tag_takes_the_word_before_it_in_or_becomes_one():
    # O is a little likelier than B-, then I- is sure.
    sure = np.array([[0.5, 0.45, 0.05, 0, 0], [0.01, 0.01, 0.98, 0, 0]])
    starts = np.array([True, False])
    assert SCHEME.choose(sure, starts).tolist() == [1, 2]
    assert LabelScheme(TAGS, decoding=ARGMAX).choose(sure, starts).tolist() == [0, 2]
    alone = np.array([[0.9, 0.05, 0.05, 0, 0], [0.1, 0.4, 0.5, 0, 0]])
    assert SCHEME.choose(alone, starts).tolist() == [0, 1]


def test_no_words():
    nothing = np.zeros((0, 5)), np.zeros(0, dtype=bool)
    assert SCHEME.choose(*nothing).tolist() == []


@pytest.mark.parametrize(("scheme", "decoding"), [(PLAIN, VITERBI), ("bio", "greedy")])
def test_other_decodings_are_refused(scheme, decoding):
    with pytest.raises(ValueError, match="decoding is"):
        LabelScheme(("O", "B-X", "I-X") if scheme == "bio" else ("O", "X"), scheme, decoding)
