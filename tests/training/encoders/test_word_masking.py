import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.encoders.word_masking import TextPiece, encode_texts, hide_words
from training.examples.examples import NO_LABEL
from udfs.network.tokenization import WindowTokenizer

MASK, VOCABULARY = 4, 1000


@st.composite
def pieces(draw):
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=30))
    words = np.repeat(np.arange(len(lengths)), lengths)
    return TextPiece(np.arange(100, 100 + len(words)), words)


@given(pieces(), st.floats(0.05, 0.9), st.integers(0, 9))
def test_whole_words_are_hidden_and_nothing_else_changes(piece, share, seed):
    example = hide_words(piece, share, MASK, VOCABULARY, np.random.default_rng(seed))
    hidden = example.tags != NO_LABEL
    words = int(piece.words[-1]) + 1
    assert len(set(piece.words[hidden])) == max(1, round(share * words))
    for word in range(words):
        assert len(set(hidden[piece.words == word])) == 1
    assert np.array_equal(example.tags[hidden], piece.ids[hidden])
    assert np.array_equal(example.ids[~hidden], piece.ids[~hidden])


def test_of_hidden_words_most_are_masked_some_are_others_and_some_stay():
    piece = TextPiece(np.full(20_000, 999), np.arange(20_000))
    example = hide_words(piece, 0.5, MASK, 500, np.random.default_rng(0))
    hidden = example.ids[example.tags != NO_LABEL]
    assert np.mean(hidden == MASK) == pytest.approx(0.8, abs=0.02)
    assert np.mean(hidden == 999) == pytest.approx(0.1, abs=0.02)


def test_texts_become_sequences_that_lose_no_word_piece(tiny_bert):
    tokenizer = WindowTokenizer.from_file(tiny_bert / "tokenizer.json")
    texts = ["Aspirin caused headache. No fever.\n\n" * 9, "", "a" * 300]
    found = encode_texts(texts, tokenizer, max_wordpieces=32)
    assert max(len(piece.ids) for piece in found) <= 30
    assert all(np.all(np.diff(piece.words) >= 0) for piece in found)
    assert all(piece.words[0] == 0 for piece in found)
    assert all(set(piece.words) == set(range(piece.words[-1] + 1)) for piece in found)
    whole = [window for text in texts if text for window in tokenizer.encode([text])]
    assert sum(len(piece.ids) for piece in found) == sum(len(window.ids) for window in whole)
