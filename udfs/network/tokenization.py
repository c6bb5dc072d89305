"""Window text → word-pieces with exact offsets. The one place that touches the tokenizer.

It sets four things that a stock `tokenizer.json` gets wrong for us: truncation and padding are
off (the file of the base model truncates at 256), a text that spells `[SEP]` is ordinary text,
and a word of more than 100 characters is cut before WordPiece would make it one unknown token.
Byte-level BPE and Unigram read words of any length. The module does not know what a note is, nor
what the model makes of the pieces.
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

from tokenizers import Encoding, Regex, Tokenizer, models, pre_tokenizers

from udfs.errors import ModelPackageError, PredictionError
from udfs.network.word_borders import NO_WORD, group_pieces

# WordPiece's own limit (max_input_chars_per_word): a longer word is read as one unknown token.
LONGEST_WORD = 100
SPECIAL_TOKENS = 2  # [CLS] and [SEP] around every piece
# The families' names for these two; the first pair that a vocabulary has frames its pieces.
_FRAMES = (("[CLS]", "[SEP]"), ("<s>", "</s>"))
_PADDING = ("[PAD]", "<pad>")
_UNKNOWN = ("[UNK]", "<unk>")
NO_UNKNOWN = -1  # a vocabulary that can spell everything

Int32Array = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class EncodedWindow:
    """The word-pieces of one window, without special tokens. All offsets count code points.

    `ids`, `begins`, `ends` and `word_index` have one entry for each word-piece;
    `word_begins` and `word_ends` one for each word (a run of letters and digits, or one
    punctuation mark, see `word_borders`), and `first_pieces` the position of each word's first
    piece. A piece of white space has no length. Its `word_index` is that of the word whose first
    piece it is, else `NO_WORD`.
    """

    ids: Int32Array
    begins: Int32Array
    ends: Int32Array
    word_index: Int32Array
    first_pieces: Int32Array
    word_begins: Int32Array
    word_ends: Int32Array


class WindowTokenizer:
    """A tokenizer that neither truncates nor pads nor loses a long word.

    It reads WordPiece (BERT, DistilBERT), byte-level BPE (RoBERTa) and Unigram (ALBERT).

    Args:
        tokenizer: a `tokenizers.Tokenizer`; its settings are changed in place.

    Raises:
        ModelPackageError: the tokenizer has neither `[CLS]` and `[SEP]` nor `<s>` and `</s>`, or
            it lacks a token for padding or WordPiece's `[UNK]`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        # WordPiece's own units are words; those of BPE and Unigram are not.
        self._units_are_words = isinstance(tokenizer.model, models.WordPiece)
        if self._units_are_words:
            cut = pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD}}}"), behavior="isolated")
            steps = [cut] if tokenizer.pre_tokenizer is None else [tokenizer.pre_tokenizer, cut]
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
        self._tokenizer = tokenizer
        self.cls_id, self.sep_id = self._frame()
        self.pad_id = self._special_id(_PADDING)
        self.unknown_id = self._special_id(_UNKNOWN, None if self._units_are_words else NO_UNKNOWN)

    @classmethod
    def from_file(cls, path: Path) -> WindowTokenizer:
        """Reads a `tokenizer.json`.

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

    def _frame(self) -> tuple[int, int]:
        for first, last in _FRAMES:
            begin, end = self._tokenizer.token_to_id(first), self._tokenizer.token_to_id(last)
            if begin is not None and end is not None:
                return begin, end
        raise ModelPackageError(
            "the tokenizer has no [CLS] and [SEP], nor <s> and </s>: only those of BERT, "
            "DistilBERT, RoBERTa and ALBERT are supported"
        )

    def _special_id(self, names: Sequence[str], otherwise: int | None = None) -> int:
        for name in names:
            if (number := self._tokenizer.token_to_id(name)) is not None:
                return int(number)
        if otherwise is not None:
            return otherwise
        raise ModelPackageError(
            f"the tokenizer has no {' or '.join(names)}: only those of BERT, DistilBERT, RoBERTa "
            "and ALBERT are supported"
        )

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id that the tokenizer can give."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def encode(self, texts: Sequence[str]) -> list[EncodedWindow]:
        """Encodes every text whole, in order, however long it is.

        Raises:
            PredictionError: the tokenizer failed; its own message is left out: it may quote a text.
        """
        try:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except BaseException as error:
            # A panic of Rust is no Exception, so nobody above would catch it.
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise PredictionError(f"the tokenizer failed ({type(error).__name__})") from None
            raise
        if self._units_are_words:
            return [_columns(encoding) for encoding in encodings]
        return [_columns_by_text(*pair) for pair in zip(texts, encodings, strict=True)]


def _columns_by_text(text: str, encoding: Encoding) -> EncodedWindow:
    word_index, offsets = group_pieces(text, encoding.offsets, encoding.word_ids)
    begins, ends = offsets[:, 0], offsets[:, 1]
    in_words = np.flatnonzero(word_index != NO_WORD)
    read = in_words[begins[in_words] < ends[in_words]]
    firsts = _firsts(word_index[read])
    return EncodedWindow(
        ids=np.array(encoding.ids, dtype=np.int32),
        begins=begins,
        ends=ends,
        word_index=word_index,
        first_pieces=in_words[_firsts(word_index[in_words])].astype(np.int32),
        word_begins=begins[read[firsts]],
        word_ends=np.maximum.reduceat(ends[read], firsts) if len(read) else ends[:0],
    )


def _firsts(words: Int32Array) -> NDArray[np.int64]:
    """The index of the first number of each run of equal numbers."""
    return np.flatnonzero(np.diff(words, prepend=NO_WORD))


def _columns(encoding: Encoding) -> EncodedWindow:
    ids = np.array(encoding.ids, dtype=np.int32)
    offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    word_index = np.array(encoding.word_ids, dtype=np.int32)
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
    """Word-pieces `[begin, end)` of a window; the piece decides `[decides_from, decides_to)`."""

    begin: int
    end: int
    decides_from: int
    decides_to: int


def cut_pieces(n_wordpieces: int, max_body: int, overlap: int) -> list[Piece]:
    """Cuts a window that is longer than the model's maximum into overlapping pieces.

    A word-piece is decided by the piece in which it stands farther from a cut: each overlap is
    split in the middle. Every word-piece is decided exactly once.

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
