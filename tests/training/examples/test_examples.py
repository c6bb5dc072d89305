import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora.form_table import Document
from training.examples.examples import (
    NO_LABEL,
    Example,
    encode_documents,
    join_neighbours,
    pad_batch,
    shuffled_batches,
)
from udfs.decoding.label_scheme import bio_labels
from udfs.network.tokenization import WindowTokenizer
from udfs.spans import Span

TAGS = bio_labels(["Chemical", "Disease"])


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return WindowTokenizer.from_file(tiny_bert / "tokenizer.json")


def encode(tokenizer, text, spans, **settings):
    settings = {"max_wordpieces": 32, "overlap": 8, **settings}
    (group,) = encode_documents([Document("1", text, tuple(spans))], tokenizer, TAGS, **settings)
    return group


def names(example):
    return ["-" if tag == NO_LABEL else TAGS[tag] for tag in example.tags]


def test_a_word_is_labelled_on_its_first_piece(tokenizer):
    (example,) = encode(tokenizer, "severe bad fever", [Span(0, 10, "Disease")])
    # "bad" is spelt in three pieces
    assert names(example) == ["B-Disease", "I-Disease", "-", "-", "O"]


def test_all_pieces_can_be_labelled(tokenizer):
    (example,) = encode(
        tokenizer, "severe bad fever", [Span(7, 10, "Disease")], label_all_pieces=True
    )
    assert names(example) == ["O", "B-Disease", "I-Disease", "I-Disease", "O"]


def test_a_mention_across_windows_keeps_its_tags_on_both_sides(tokenizer):
    text = "No severe fever.\n\nheadache and fever"
    group = encode(tokenizer, text, [Span(text.index("fever"), text.index(" and"), "Disease")])
    assert [names(example) for example in group] == [
        ["O", "O", "B-Disease", "I-Disease"],
        ["B-Disease", "O", "O"],
    ]


def test_a_long_window_is_cut_and_each_piece_is_trained_on_what_it_decides(tokenizer):
    text = " ".join(["fever"] * 21)
    cut = encode(tokenizer, text, [Span(0, 5, "Disease")], max_wordpieces=12, overlap=4)
    assert len(cut) > 1
    assert all(len(example.ids) <= 10 for example in cut)
    assert sum(int((example.tags != NO_LABEL).sum()) for example in cut) == 21
    assert names(cut[0])[0] == "B-Disease"


def test_documents_without_text_give_no_examples(tokenizer):
    assert encode(tokenizer, " \n ", []) == []


def numbered(lengths):
    """Examples whose ids are all different, so that each can be told."""
    ends = np.cumsum(lengths).tolist()
    pieces = [np.arange(end - n, end) for n, end in zip(lengths, ends, strict=True)]
    return [Example(piece, piece % 5) for piece in pieces]


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(lengths, st.floats(0, 1), st.integers(0, 9))
def test_joining_keeps_every_piece_in_order_and_within_the_maximum(sizes, probability, seed):
    group = numbered(sizes)
    joined = join_neighbours([group], probability, 60, random.Random(seed))
    assert np.concatenate([e.ids for e in joined]).tolist() == list(range(sum(sizes)))
    assert all((e.tags == e.ids % 5).all() for e in joined)
    assert all(len(e.ids) <= 60 for e in joined)
    if probability == 0:
        assert len(joined) == len(group)


def test_windows_of_two_documents_are_not_joined():
    groups = [numbered([3, 4]), numbered([5])]
    assert [len(e.ids) for e in join_neighbours(groups, 0.99999, 60, random.Random(1))] == [7, 5]


@given(lengths, st.integers(0, 9))
def test_batches_hold_every_example_once_within_the_budget(sizes, seed):
    batches = shuffled_batches(numbered(sizes), 100, random.Random(seed))
    seen = sorted(int(e.ids[0]) for batch in batches for e in batch)
    assert seen == sorted(int(e.ids[0]) for e in numbered(sizes))
    for batch in batches:
        assert len(batch) * (max(len(e.ids) for e in batch) + 2) <= 100


def test_an_example_over_the_budget_is_a_batch_of_its_own():
    assert len(shuffled_batches(numbered([50, 50]), 10, random.Random(1))) == 2


def test_padding():
    ids, mask, tags = pad_batch(
        [Example(np.array([7, 8]), np.array([1, NO_LABEL])), *numbered([1])], 2, 3, 9
    )
    assert ids.tolist() == [[2, 7, 8, 3], [2, 0, 3, 9]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert tags.tolist() == [[-100, 1, -100, -100], [-100, 0, -100, -100]]
