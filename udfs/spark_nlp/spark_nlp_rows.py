"""Windows → the rows that Spark NLP's BertForTokenClassification reads.

Spark NLP gets our words instead of finding its own. So both engines read the same word-pieces, and
our offsets are never applied to a JVM string: a word is known by its slot, which is its index in
the row. `pipelines/scoring/spark_nlp_engine.py` makes annotations from the slots, and
`spark_nlp_answers.py` makes spans from the answers. Offsets travel beside the slots, in code
points. A row holds the pieces of windows of about the same length: one batch of the model.

What this module must know of Spark NLP 5.5: when told that case matters, it reads a word by the
vocabulary alone (longest match first, `##` inside a word). So a word is handed over as its
word-pieces spell it. Where a piece begins inside a word, Spark NLP cannot be given the rest of that
word. It gets as many unknown tokens as the rest has word-pieces, so that all other word-pieces keep
their positions. These tokens decide nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from udfs import arrow_schemas
from udfs.decoding.span_decoding import over_marks
from udfs.network.tokenization import SPECIAL_TOKENS, EncodedWindow, WindowTokenizer, cut_pieces
from udfs.spark_nlp.vocabulary import read_vocabulary

# Most pieces in one row; the engine makes this the batch size of Spark NLP, too.
PIECES_PER_ROW = 32
# A private-use character, which is in no vocabulary: Spark NLP reads it as one unknown token.
UNKNOWN_WORD = "\ue000"


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False))


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


# For each window: its hash, its counts and the number of its words. For each word of all windows,
# end to end: its offsets in its window, and the slot whose tag decides it. Then what Spark NLP
# reads: one word for each slot, and the first slot of each piece.
TO_TAG = _schema(
    window_hash=_list(pa.string()),
    wordpieces=_list(pa.int32()),
    unread_characters=_list(pa.int32()),
    words=_list(pa.int32()),
    begins=_list(pa.int32()),
    ends=_list(pa.int32()),
    deciders=_list(pa.int32()),
    slots=_list(pa.string()),
    pieces=_list(pa.int32()),
)


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How windows are read: the `tokenizer.json` (by zlib), the longest piece, the overlap."""

    tokenizer: bytes = field(repr=False)
    max_wordpieces: int
    overlap: int
    tokens_per_row: int


def windows_to_rows(
    batches: Iterable[pa.RecordBatch], rule: WindowRule
) -> Iterator[pa.RecordBatch]:
    """`window_hash, text` → rows of `TO_TAG`; every window is in exactly one row."""
    reader = _reader(rule)
    for batch in batches:
        hashes = batch.column("window_hash").to_pylist()
        texts = [text.as_py() for text in batch.column("text")]
        windows = [
            reader.read(*window)
            for window in zip(hashes, texts, reader.tokenizer.encode(texts), strict=True)
        ]
        rows = [_Row(group) for group in _groups(windows, rule.tokens_per_row)]
        yield arrow_schemas.to_batch(
            {name: [getattr(row, name) for row in rows] for name in TO_TAG.names}, TO_TAG
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """One window, ready for a row: its words, and which word stands in which slot of which piece.

    `slots` are the words of its pieces, end to end. `pieces` is how many slots each piece has.
    `deciders` is the slot that decides each word, counted from the window's first slot. `longest`
    is the number of word-pieces in its longest piece, special tokens included.
    """

    window_hash: str
    wordpieces: int
    unread_characters: int
    begins: list[int]
    ends: list[int]
    deciders: list[int]
    slots: list[str]
    pieces: list[int]
    longest: int


class _Reader:
    """Reads windows by one rule; a Python worker keeps one reader."""

    def __init__(self, rule: WindowRule) -> None:
        tokenizer = zlib.decompress(rule.tokenizer).decode()
        self.tokenizer = WindowTokenizer(Tokenizer.from_str(tokenizer))
        self._vocabulary = read_vocabulary(tokenizer)
        self._body = rule.max_wordpieces - SPECIAL_TOKENS
        self._overlap = rule.overlap

    def read(self, window_hash: str, text: str, encoded: EncodedWindow) -> _Window:
        count = len(encoded.ids)
        first = np.append(encoded.first_pieces, np.int32(count))
        deciders = np.zeros(len(encoded.first_pieces), dtype=np.int64)
        slots: list[str] = []
        pieces: list[int] = []
        longest = 0
        for piece in cut_pieces(count, self._body, self._overlap) if count else ():
            # Words `begin` to `end` start in this piece, and it decides words `decides` to
            # `decides_to`. Its first `rest` word-pieces belong to a word that starts before it.
            begin, end, decides, decides_to = np.searchsorted(
                encoded.first_pieces,
                (piece.begin, piece.end, piece.decides_from, piece.decides_to),
            )
            if begin == end:
                continue
            borders = np.minimum(first[begin : end + 1], piece.end).tolist()
            rest = borders[0] - piece.begin
            slots_before = len(slots) + rest
            deciders[decides:decides_to] = np.arange(decides, decides_to) - begin + slots_before
            slots += [UNKNOWN_WORD] * rest
            slots += [self._spell(encoded.ids[a:b].tolist()) for a, b in pairwise(borders)]
            pieces.append(rest + int(end - begin))
            longest = max(longest, piece.end - piece.begin + SPECIAL_TOKENS)
        unknown = encoded.ids == self.tokenizer.unknown_id
        return _Window(
            window_hash=window_hash,
            wordpieces=count,
            unread_characters=int((encoded.ends[unknown] - encoded.begins[unknown]).sum()),
            begins=encoded.word_begins.tolist(),
            ends=_ends_over_marks(text, encoded),
            deciders=deciders.tolist(),
            slots=slots,
            pieces=pieces,
            longest=longest,
        )

    def _spell(self, ids: list[int]) -> str:
        """The string that Spark NLP reads as exactly these word-pieces."""
        if ids[0] == self.tokenizer.unknown_id:
            return UNKNOWN_WORD
        rest = (self._vocabulary[i].removeprefix("##") for i in ids[1:])
        return self._vocabulary[ids[0]] + "".join(rest)


@lru_cache(maxsize=1)
def _reader(rule: WindowRule) -> _Reader:
    return _Reader(rule)


def _ends_over_marks(text: str, encoded: EncodedWindow) -> list[int]:
    ends: list[int] = encoded.word_ends.tolist()
    if text.isascii() or not ends:
        return ends
    # No word follows the last one of a window: only the text's end limits its combining marks.
    limits = [*encoded.word_begins.tolist()[1:], len(text)]
    return [over_marks(text, end, limit) for end, limit in zip(ends, limits, strict=True)]


def _groups(windows: list[_Window], tokens_per_row: int) -> Iterator[list[_Window]]:
    """Groups windows of about the same length, as many as fit into one batch of the model."""
    group: list[_Window] = []
    pieces = 0
    for window in sorted(windows, key=lambda w: w.longest):
        more = pieces + len(window.pieces)
        if group and (more > PIECES_PER_ROW or more * window.longest > tokens_per_row):
            yield group
            group, more = [], len(window.pieces)
        group.append(window)
        pieces = more
    if group:
        yield group


class _Row:
    """The columns of `TO_TAG` for some windows; slots are numbered through the whole row."""

    def __init__(self, windows: Sequence[_Window]) -> None:
        self.window_hash = [w.window_hash for w in windows]
        self.wordpieces = [w.wordpieces for w in windows]
        self.unread_characters = [w.unread_characters for w in windows]
        self.words = [len(w.begins) for w in windows]
        self.begins = [begin for w in windows for begin in w.begins]
        self.ends = [end for w in windows for end in w.ends]
        self.slots = [slot for w in windows for slot in w.slots]
        self.deciders: list[int] = []
        self.pieces: list[int] = []
        begin = 0
        for window in windows:
            self.deciders += [begin + slot for slot in window.deciders]
            for words in window.pieces:
                self.pieces.append(begin)
                begin += words
