"""Tags and spans: the one place that knows how tags become spans and spans become tags.

Our own models have BIO tags; models of others BILOU, BIOES (`E-` is `L-`, `S-` is `U-`) or
plain labels. Repair rules (those of the CoNLL-2000 evaluation script, and seqeval's default mode):

1. `B-X` and `U-X` always start a mention.
2. `L-X` and `U-X` end their mention: whatever follows starts another.
3. `I-X` and `L-X` right after `B-X` or `I-X` continue that mention.
4. `I-X` and `L-X` after `O`, at the start of a sequence, after an ended mention or after a
   tag of another label start one.
5. `O` ends the mention before it.
6. A plain label is an `I-`: neighbouring words of one label are one mention.

A model of ours needs no repair: where the best tags of single words are impossible in a row, the
most probable possible sequence is taken (`VITERBI`, see `tag_paths`). For models of others that is
not the default: their tags may mean what the rules say.

It knows nothing of text, tokenizers or models: words are pairs of offsets, tags are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.decoding.tag_paths import best_path
from udfs.spans import Span

IntArray = NDArray[np.int64]


BIO, BILOU, PLAIN = "bio", "bilou", "plain"
# Scheme → its prefixes → (whether such a tag starts a mention, whether it ends one).
_PREFIXES = {
    BIO: {"B-": (True, False), "I-": (False, False)},
    BILOU: {
        "B-": (True, False),
        "I-": (False, False),
        "L-": (False, True),
        "E-": (False, True),
        "U-": (True, True),
        "S-": (True, True),
    },
    PLAIN: {"": (False, False)},
}
SCHEMES = tuple(_PREFIXES)
# How tags are chosen: the best of each word, or the best sequence in which no I- lacks its B-.
ARGMAX, VITERBI = "argmax", "viterbi"
DECODINGS = (ARGMAX, VITERBI)


def find_scheme(tags: Sequence[str]) -> str:
    """The scheme to which some tags belong.

    Raises:
        ValueError: some tags have a prefix and others have none.
    """
    named = [tag for tag in tags if tag != "O"]
    for scheme in (BIO, BILOU):
        if named and all(tag[:2] in _PREFIXES[scheme] and len(tag) > 2 for tag in named):
            return scheme
    if any(tag[:2] in _PREFIXES[BILOU] for tag in named):
        raise ValueError(f"some of the tags {list(tags)} have a prefix (B-, I-, …), others none")
    return PLAIN


def bio_labels(entity_labels: Sequence[str]) -> tuple[str, ...]:
    """`["Chemical"]` → `("O", "B-Chemical", "I-Chemical")`: the tags of a model, in order."""
    return ("O", *(f"{prefix}-{label}" for label in entity_labels for prefix in "BI"))


class LabelScheme:
    """The tags of one model as small tables, so that decoding needs no loop over words.

    Args:
        tags: the model's tags in the order of its output columns, such as
            `("O", "B-Chemical", "I-Chemical")`.
        scheme: `bio`, `bilou` or `plain`.
        decoding: `argmax`, or for BIO tags `viterbi`.

    Raises:
        ValueError: the scheme or the decoding is unknown, a tag is not one of the scheme, a tag
            stands twice, or `O` is missing.
    """

    def __init__(self, tags: Sequence[str], scheme: str = BIO, decoding: str = ARGMAX) -> None:
        if scheme not in _PREFIXES:
            raise ValueError(f"label_scheme is {scheme!r}, not one of {', '.join(SCHEMES)}")
        if decoding not in DECODINGS or (decoding == VITERBI and scheme != BIO):
            raise ValueError(
                f"decoding is {decoding!r} of {scheme} tags, not {ARGMAX}, or {VITERBI} of bio tags"
            )
        prefixes = _PREFIXES[scheme]
        width = 0 if scheme == PLAIN else 2
        for tag in tags:
            if tag != "O" and (tag[:width] not in prefixes or len(tag) <= width):
                *some, last = ("O", *(f"{prefix}<label>" for prefix in prefixes))
                wanted = f"{', '.join(some)} or {last}"
                raise ValueError(f"tag {tag!r} is not {wanted}: use {scheme.upper()} tags")
        if len(set(tags)) != len(tags):
            raise ValueError(f"a tag stands twice in {list(tags)}: every tag needs one column")
        if "O" not in tags:
            raise ValueError(
                f"the tag O is missing in {list(tags)}: words outside mentions need it"
            )
        self.tags = tuple(tags)
        labels = [None if tag == "O" else tag[width:] for tag in tags]
        self.entity_labels = tuple(dict.fromkeys(label for label in labels if label is not None))
        number = {label: i + 1 for i, label in enumerate(self.entity_labels)}
        self._type_of = np.array(
            [number[label] if label else 0 for label in labels], dtype=np.int64
        )
        outside = (False, False)
        kinds = [outside if tag == "O" else prefixes[tag[:width]] for tag in tags]
        self._starts, self._ends = np.array(kinds, dtype=bool).T
        self._is_constrained = decoding == VITERBI
        self._opens = self._starts | (self._type_of == 0)
        self._follows = self._opens | (self._type_of[:, None] == self._type_of)
        self.columns_of = tuple(
            np.flatnonzero(self._type_of == i + 1) for i in range(len(self.entity_labels))
        )

    def choose(
        self, probabilities: NDArray[np.float64], starts_sequence: NDArray[np.bool_]
    ) -> IntArray:
        """`(words, tags)` probabilities of many sequences laid end to end → the tag of each word.

        Args:
            probabilities: in the order of the tags.
            starts_sequence: `(words,)` true where a word is the first of its sequence.
        """
        if self._is_constrained:
            return best_path(probabilities, starts_sequence, self._opens, self._follows)
        best: IntArray = probabilities.argmax(axis=1)
        return best

    def decode(self, tag_ids: IntArray, starts_sequence: NDArray[np.bool_]) -> MentionArrays:
        """Tags of many sequences laid end to end → their mentions, by the repair rules.

        Args:
            tag_ids: `(words,)` tag number of each word.
            starts_sequence: `(words,)` true where a word is the first of its sequence.

        Returns:
            first and last word (inclusive) and label number of each mention, in order.
        """
        types = self._type_of[tag_ids]
        inside = types != 0
        previous = np.concatenate(([0], types[:-1]))
        previous[starts_sequence] = 0
        after_end = np.concatenate(([False], self._ends[tag_ids][:-1]))
        starts = inside & (self._starts[tag_ids] | after_end | (types != previous))
        goes_on = np.concatenate((inside[1:] & ~starts[1:], [False])) if len(types) else starts
        return MentionArrays(
            first=np.flatnonzero(starts),
            last=np.flatnonzero(inside & ~goes_on),
            label=types[starts] - 1,
        )


@dataclass(frozen=True, slots=True)
class MentionArrays:
    """Mentions as columns: first and last word (both inclusive) and label number of each."""

    first: IntArray
    last: IntArray
    label: IntArray


def tags_to_spans(words: Sequence[tuple[int, int]], tags: Sequence[str]) -> list[Span]:
    """The mentions of one sequence of tagged words, by the repair rules above.

    Args:
        words: begin and end offset of each word, in order.
        tags: one BIO tag for each word.

    Raises:
        ValueError: the two have different lengths, or a tag is not a BIO tag.
    """
    if len(words) != len(tags):
        raise ValueError(f"{len(words)} words but {len(tags)} tags: each word needs one tag")
    scheme = LabelScheme(tuple(dict.fromkeys(("O", *tags))))
    ids = np.array([scheme.tags.index(tag) for tag in tags], dtype=np.int64)
    found = scheme.decode(ids, np.arange(len(ids)) == 0)
    return [
        Span(words[first][0], words[last][1], scheme.entity_labels[label])
        for first, last, label in zip(found.first, found.last, found.label, strict=True)
    ]


def spans_to_tags(words: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[str]:
    """A BIO tag for each word: a word that overlaps a span belongs to it.

    Where two spans touch one word the earlier span has it. Words and spans are in text order.
    """
    tags = ["O"] * len(words)
    position = 0
    for span in sorted(spans, key=lambda s: (s.begin, s.end)):
        while position < len(words) and words[position][1] <= span.begin:
            position += 1
        prefix = "B"
        while position < len(words) and words[position][0] < span.end:
            tags[position] = f"{prefix}-{span.label}"
            prefix = "I"
            position += 1
    return tags
