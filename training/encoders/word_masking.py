"""Unlabelled texts -> sequences of word-pieces with whole words hidden, to be guessed by a model.

Texts are cut into the windows of production, and neighbouring windows are joined while they fit. A
word is hidden as a whole: if only a part of it were hidden, the rest would give it away. Of the
hidden words, 80 % become [MASK], 10 % become other word-pieces and 10 % stay (Devlin et al. 2019,
arXiv:1810.04805).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.examples.examples import NO_LABEL, Example
from udfs.network.tokenization import SPECIAL_TOKENS, WindowTokenizer, cut_pieces
from udfs.text.segmentation import segment_note


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The `ids` of word-pieces, and the number of the word that each belongs to."""

    ids: NDArray[np.int64]
    words: NDArray[np.int64]


def encode_texts(
    texts: Sequence[str], tokenizer: WindowTokenizer, max_wordpieces: int
) -> list[TextPiece]:
    """Sequences of at most `max_wordpieces`, special tokens included, each from one text."""
    body = max_wordpieces - SPECIAL_TOKENS
    return [
        sequence for text in texts for sequence in _joined(_pieces(text, tokenizer, body), body)
    ]


def _pieces(text: str, tokenizer: WindowTokenizer, body: int) -> Iterator[TextPiece]:
    windows = tokenizer.encode([text[begin:end] for begin, end in segment_note(text)])
    for window in windows:
        for piece in cut_pieces(len(window.ids), body, 0):
            part = slice(piece.begin, piece.end)
            yield TextPiece(window.ids[part].astype(np.int64), _counted(window.word_index[part]))


def _counted(words: NDArray[np.int32]) -> NDArray[np.int64]:
    """Numbers the words from 0 on.

    Neighbouring pieces of no word (white space, where a tokenizer keeps it) count as one word.
    """
    return np.cumsum(np.diff(words, prepend=words[:1]) != 0, dtype=np.int64)


def _joined(pieces: Iterator[TextPiece], body: int) -> Iterator[TextPiece]:
    run: list[TextPiece] = []
    for piece in pieces:
        if not len(piece.ids):
            continue
        if run and sum(len(part.ids) for part in run) + len(piece.ids) > body:
            yield _concatenate(run)
            run = []
        run.append(piece)
    if run:
        yield _concatenate(run)


def _concatenate(run: Sequence[TextPiece]) -> TextPiece:
    words, first = [], 0
    for part in run:
        words.append(part.words + first)
        first = int(words[-1][-1]) + 1
    return TextPiece(np.concatenate([part.ids for part in run]), np.concatenate(words))


def hide_words(
    sequence: TextPiece,
    share: float,
    mask_id: int,
    vocabulary: int,
    rng: np.random.Generator,
) -> Example:
    """The sequence with a share of its words hidden, at least one.

    The example's `tags` are the hidden ids, and NO_LABEL elsewhere.
    """
    words = int(sequence.words[-1]) + 1
    chosen = np.zeros(words, dtype=bool)
    chosen[rng.permutation(words)[: max(1, round(share * words))]] = True
    fate = rng.random(words)[sequence.words]
    hidden = chosen[sequence.words]
    ids = sequence.ids.copy()
    ids[hidden & (fate < 0.8)] = mask_id
    other = hidden & (fate >= 0.8) & (fate < 0.9)
    ids[other] = rng.integers(vocabulary, size=int(other.sum()))
    return Example(ids, np.where(hidden, sequence.ids, NO_LABEL))
