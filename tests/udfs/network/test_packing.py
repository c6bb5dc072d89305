"""Windows end to end and back, against the plain rules one word-piece at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.network.packing import equal_runs, next_batch, pack_windows, places_in_pieces
from udfs.network.tokenization import EncodedWindow, cut_pieces

CLS, SEP = -1, -2
NONE = np.zeros(0, dtype=np.int32)


def windows_of(lengths: list[int]) -> list[EncodedWindow]:
    """Windows whose ids count on from window to window, so that each id names its place."""
    begins = np.cumsum([0, *lengths])
    ids = [np.arange(b, b + n, dtype=np.int32) for b, n in zip(begins, lengths, strict=False)]
    return [EncodedWindow(i, NONE, NONE, NONE, NONE, NONE, NONE) for i in ids]


def pieces_of(ids: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] if len(ids) else []


@given(
    st.lists(st.integers(0, 40), max_size=12), st.sampled_from([(8, 2), (12, 0), (40, 16), (3, 0)])
)
def test_every_wordpiece_is_decided_once_where_the_rule_says(lengths, limit):
    longest, overlap = limit
    windows = windows_of(lengths)
    packed = pack_windows(windows, longest, overlap, CLS, SEP)
    cut = [
        (window.ids[piece.begin : piece.end].tolist(), window.ids[0], piece)
        for window in windows
        if len(window.ids)
        for piece in cut_pieces(len(window.ids), longest - 2, overlap)
    ]
    pieces = pieces_of(packed.ids, packed.lengths)
    assert sorted(pieces) == sorted([CLS, *body, SEP] for body, *_ in cut)
    assert all(length <= longest for length in packed.lengths)
    assert (np.diff(packed.lengths) <= 0).all()
    # The scores of a position are its id: they must come back in the order of the word-pieces.
    assert np.array_equal(np.sort(packed.targets), np.arange(sum(lengths)))
    result = np.full(sum(lengths), -9)
    result[packed.targets] = packed.ids[packed.sources]
    assert np.array_equal(result, np.arange(sum(lengths)))
    piece_of = np.repeat(np.arange(len(packed.lengths)), packed.lengths)
    for body, start, piece in cut:
        number = pieces.index([CLS, *body, SEP])
        for wordpiece in range(start + piece.decides_from, start + piece.decides_to):
            at = packed.sources[packed.targets == wordpiece]
            assert piece_of[at] == number


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 70))
def test_batches_hold_as_much_as_fits_and_every_piece_once(lengths, most):
    lengths = np.array(sorted(lengths, reverse=True))
    ends = np.cumsum(lengths)
    first = 0
    while first < len(ends):
        last = next_batch(ends, first, most)
        size = lengths[first:last].sum()
        assert size <= most or last == first + 1
        assert last == len(ends) or size + lengths[last] > most
        first = last
    assert first == len(ends)


@pytest.mark.parametrize(
    ("lengths", "runs"),
    [([], []), ([5], [(1, 5)]), ([7, 7, 3, 3, 3, 2], [(2, 7), (3, 3), (1, 2)]),
     ([2, 3, 2], [(1, 2), (1, 3), (1, 2)])],
)  # fmt: skip
def test_runs_are_of_one_length(lengths, runs):
    assert list(equal_runs(np.array(lengths, dtype=np.int64))) == runs


def test_places_begin_anew_in_each_piece():
    assert places_in_pieces(np.array([3, 1, 2])).tolist() == [0, 1, 2, 0, 0, 1]
