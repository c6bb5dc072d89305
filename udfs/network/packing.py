"""Word-pieces of many windows as one row without padding, and the way back.

Windows are cut into pieces that fit the model, each piece is framed by `[CLS]` and `[SEP]`, and
the pieces stand end to end, the longest first. So pieces of one length are neighbours, which the
encoder needs to let each piece attend to itself only. Knows neither text nor torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.network.tokenization import SPECIAL_TOKENS, EncodedWindow, cut_pieces

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PackedWindows:
    """The pieces of many windows, end to end.

    Args:
        ids: `(positions,)` word-piece ids, special tokens included.
        lengths: `(pieces,)` length of each piece, special tokens included, the longest first.
        sources: `(word-pieces,)` the position in `ids` at which each word-piece is decided.
        targets: `(word-pieces,)` its position in the uncut windows, put end to end.
    """

    ids: Int64Array
    lengths: Int64Array
    sources: Int64Array
    targets: Int64Array


def pack_windows(
    windows: Sequence[EncodedWindow], longest: int, overlap: int, cls_id: int, sep_id: int
) -> PackedWindows:
    """Packs windows; every word-piece of every window is decided exactly once.

    Args:
        windows: of any length, empty ones too.
        longest: most positions in one piece, special tokens included.
        overlap: word-pieces that two pieces of one window share.
        cls_id: the id that begins a piece.
        sep_id: the id that ends it.
    """
    starts = _starts([len(window.ids) for window in windows])
    cut = [
        (starts[i] + piece.begin, piece.end - piece.begin, piece.decides_from - piece.begin,
         piece.decides_to - piece.begin)
        for i, window in enumerate(windows)
        if len(window.ids)
        for piece in cut_pieces(len(window.ids), longest - SPECIAL_TOKENS, overlap)
    ]  # fmt: skip
    pieces = np.array(cut, dtype=np.int64).reshape(-1, 4)
    pieces = pieces[np.argsort(-pieces[:, 1], kind="stable")]
    begins, bodies, decided_from, decided_to = pieces.T
    lengths = bodies + SPECIAL_TOKENS
    places = _starts(lengths)[:-1]  # of [CLS]
    ids = np.full(int(lengths.sum()), sep_id, dtype=np.int64)
    ids[places] = cls_id
    if len(pieces):
        uncut = np.concatenate([window.ids for window in windows])
        ids[_ranges(places + 1, bodies)] = uncut[_ranges(begins, bodies)]
    decided = decided_to - decided_from
    return PackedWindows(
        ids,
        lengths,
        sources=_ranges(places + 1 + decided_from, decided),
        targets=_ranges(begins + decided_from, decided),
    )


def next_batch(ends: Int64Array, first: int, most: int) -> int:
    """The end of a batch: one past its last piece.

    The batch takes as many pieces as fit into `most` positions, but at least one.

    Args:
        ends: running sum of the pieces' lengths.
        first: the first piece of the batch.
        most: most positions in one batch.
    """
    begin = ends[first - 1] if first else 0
    return max(first + 1, int(np.searchsorted(ends, begin + most, side="right")))


def equal_runs(lengths: Int64Array) -> Iterator[tuple[int, int]]:
    """`(how many, length)` of each run of neighbouring pieces of one length."""
    borders = np.flatnonzero(np.diff(lengths)) + 1
    firsts = [0, *borders.tolist()]
    for first, last in zip(firsts, [*firsts[1:], len(lengths)], strict=True):
        if last > first:
            yield last - first, int(lengths[first])


def places_in_pieces(lengths: Int64Array) -> Int64Array:
    """The place of each position in its own piece, from 0 on."""
    return _ranges(np.zeros_like(lengths), lengths)


def _starts(lengths: Sequence[int] | Int64Array) -> Int64Array:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def _ranges(begins: Int64Array, lengths: Int64Array) -> Int64Array:
    """`begin, begin + 1, …` of each range, end to end."""
    shift = np.repeat(begins - _starts(lengths)[:-1], lengths)
    return np.arange(len(shift), dtype=np.int64) + shift
