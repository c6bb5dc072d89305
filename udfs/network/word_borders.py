"""Which pieces make a word, for tokenizers whose own units are not words.

BERT's pre-tokenizer cuts a text into words (a run of letters and digits, or one punctuation mark)
before it cuts words into pieces. Byte-level BPE (RoBERTa) keeps runs of marks together and splits
letters from digits; Metaspace (ALBERT) cuts at white space only. Here a word begins where BERT's
would, provided that a piece begins there too: `)."` in one piece is one word. Offsets count code
points. Knows nothing of ids.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
NO_WORD = -1

_ASCII_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# The blocks that BERT splits into single characters (its own list, in `tokenization.py` of 2018).
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@lru_cache(maxsize=4096)
def stands_alone(character: str) -> bool:
    """Whether a character is never part of a longer word: a mark, an ideograph or white space."""
    if character.isspace() or character in _ASCII_MARKS:
        return True
    if unicodedata.category(character).startswith("P"):
        return True
    code = ord(character)
    return any(first <= code <= last for first, last in _IDEOGRAPHS)


def group_pieces(
    text: str, offsets: Sequence[tuple[int, int]], units: Sequence[int | None]
) -> tuple[Int32Array, Int32Array]:
    """The word of each piece, and the piece's offsets without the white space at its ends.

    A piece that is white space only and begins a unit (`Ġ`, `▁`) is the first piece of the word
    after it, because there the model gives the word's tag. Any other such piece is of no word.

    Args:
        text: what was tokenized.
        offsets: begin and end of each piece in it, white space included or not.
        units: the tokenizer's own unit of each piece (`word_ids`).

    Returns:
        `(pieces,)` number of the word, `NO_WORD` for none, and `(pieces, 2)` offsets.
    """
    words = np.full(len(offsets), NO_WORD, dtype=np.int32)
    trimmed = np.zeros((len(offsets), 2), dtype=np.int32)
    word, last_end = NO_WORD, 0
    waiting = None  # the piece of white space that began the current unit, if one did
    for i in range(len(offsets)):
        begin, end = _trim(text, *offsets[i])
        starts_unit = i == 0 or units[i] != units[i - 1]
        if starts_unit:
            waiting = None
        trimmed[i] = begin, end
        if begin >= end:
            waiting = i if starts_unit else waiting
            continue
        # Several pieces of one character (an emoji is four bytes) share its offsets.
        if begin >= last_end and (word == NO_WORD or _is_border(text, begin)):
            word += 1
            words[i if waiting is None else waiting : i] = word
        words[i] = word
        last_end, waiting = max(last_end, end), None
    return words, trimmed


def _trim(text: str, begin: int, end: int) -> tuple[int, int]:
    while begin < end and text[begin].isspace():
        begin += 1
    while begin < end and text[end - 1].isspace():
        end -= 1
    return begin, end


def _is_border(text: str, place: int) -> bool:
    return place == 0 or stands_alone(text[place - 1]) or stands_alone(text[place])
