"""Window text → word-pieces with exact offsets. The one place that touches the tokenizer.

It sets four things that a stock ``tokenizer.json`` gets wrong for us: truncation and padding are
off (the file of the base model truncates at 256), a text that spells ``[SEP]`` is ordinary text,
and a word of more than 100 characters is cut before it would become one unknown token. It does
not know what a note is, nor what the model makes of the pieces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Forked Python workers and the tokenizer's own threads do not mix; one task is one core here.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tokenizers import Regex, Tokenizer, pre_tokenizers

from udfs.errors import ModelPackageError, PredictionError

# WordPiece's own limit (max_input_chars_per_word): a longer word is read as one unknown token.
LONGEST_WORD = 100
SPECIAL_TOKENS = 2  # [CLS] and [SEP] round every piece

Int32Array = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class EncodedWindow:
    """The word-pieces of one window, without special tokens. All offsets count code points.

    ``ids``, ``begins``, ``ends`` and ``word_index`` have one entry for each word-piece;
    ``word_begins`` and ``word_ends`` one for each word (a run of letters and digits, or one
    punctuation mark), and ``first_pieces`` the position of each word's first piece.
    """

    ids: Int32Array
    begins: Int32Array
    ends: Int32Array
    word_index: Int32Array
    first_pieces: Int32Array
    word_begins: Int32Array
    word_ends: Int32Array


class WindowTokenizer:
    """A BERT word-piece tokenizer that neither truncates nor pads nor loses a long word.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``; its settings are changed in place.

    Raises:
        ModelPackageError: the tokenizer lacks ``[CLS]``, ``[SEP]``, ``[PAD]`` or ``[UNK]``.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        cut = pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD}}}"), behavior="isolated")
        steps = [cut] if tokenizer.pre_tokenizer is None else [tokenizer.pre_tokenizer, cut]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
        self._tokenizer = tokenizer
        self.cls_id = self._special_id("[CLS]")
        self.sep_id = self._special_id("[SEP]")
        self.pad_id = self._special_id("[PAD]")
        self.unknown_id = self._special_id("[UNK]")

    @classmethod
    def from_file(cls, path: Path) -> WindowTokenizer:
        """Reads a ``tokenizer.json``.

        Raises:
            ModelPackageError: the file is missing or is not a tokenizer.
        """
        try:
            return cls(Tokenizer.from_file(str(path)))
        except ModelPackageError:
            raise
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelPackageError(
                f"{path} is not a readable tokenizer ({type(error).__name__}): "
                "the package needs the tokenizer.json of its base model"
            ) from None

    def _special_id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ModelPackageError(
                f"the tokenizer has no {token}: only BERT word-piece tokenizers are supported"
            )
        return int(number)

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id that the tokenizer can give."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def encode(self, texts: Sequence[str]) -> list[EncodedWindow]:
        """Every text whole, in order, however long it is.

        Raises:
            PredictionError: the tokenizer failed; its own message may quote a text.
        """
        try:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except BaseException as error:
            # A panic of Rust is no Exception, so nobody above would catch it.
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise PredictionError(f"the tokenizer failed ({type(error).__name__})") from None
            raise
        return [_columns(encoding) for encoding in encodings]


def _columns(encoding: object) -> EncodedWindow:
    ids = np.array(encoding.ids, dtype=np.int32)  # type: ignore[attr-defined]  # Rust class
    offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)  # type: ignore[attr-defined]
    word_index = np.array(encoding.word_ids, dtype=np.int32)  # type: ignore[attr-defined]
    starts = np.ones(len(ids), dtype=bool)
    starts[1:] = word_index[1:] != word_index[:-1]
    first = np.flatnonzero(starts).astype(np.int32)
    last = np.append(first[1:], len(ids)).astype(np.int32) - 1
    return EncodedWindow(
        ids=ids,
        begins=offsets[:, 0],
        ends=offsets[:, 1],
        word_index=np.cumsum(starts, dtype=np.int32) - np.int32(1),
        first_pieces=first,
        word_begins=offsets[first, 0],
        word_ends=offsets[last, 1] if len(ids) else offsets[:0, 1],
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Word-pieces ``[begin, end)`` of a window; it decides ``[decides_from, decides_to)``."""

    begin: int
    end: int
    decides_from: int
    decides_to: int


def cut_pieces(n_wordpieces: int, max_body: int, overlap: int) -> list[Piece]:
    """Cuts a window that is longer than the model's maximum into overlapping pieces.

    The rule for which piece decides a word-piece: the one in which it stands farther from a cut;
    that is, each overlap is split in the middle. Every word-piece is decided exactly once.

    Args:
        n_wordpieces: length of the window, special tokens not counted.
        max_body: most word-pieces in one piece, special tokens not counted.
        overlap: how many word-pieces two neighbours share.
    """
    if not 0 <= overlap < max_body:
        raise ValueError(f"overlap {overlap} is not in 0 to {max_body - 1} (max_body - 1)")
    step = max_body - overlap
    begins = [0]
    while begins[-1] + max_body < n_wordpieces:
        begins.append(begins[-1] + step)
    ends = [min(begin + max_body, n_wordpieces) for begin in begins]
    borders = [(begins[i + 1] + ends[i]) // 2 for i in range(len(begins) - 1)]
    return [
        Piece(begin, end, decides_from, decides_to)
        for begin, end, decides_from, decides_to in zip(
            begins, ends, [0, *borders], [*borders, n_wordpieces], strict=True
        )
    ]
