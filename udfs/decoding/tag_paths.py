"""The most probable sequence of tags among those that are possible (Viterbi).

The best tag of a single word may be impossible beside those of its neighbours, such as `I-` after
`O`. Words are taken to be independent, except for which tag may follow which. So a sequence whose
best tags are possible keeps them, and only the other sequences are searched. The module knows
arrays: no labels, no text. Source: Viterbi 1967, doi:10.1109/TIT.1967.1054010.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Most words in sequences that are searched together, each counted as long as the longest. This
# bounds the memory.
GROUP_WORDS = 1_000_000
_IMPOSSIBLE = -1e9
_LEAST = 1e-300  # a probability of zero has no logarithm


def best_path(
    probabilities: NDArray[np.float64],
    starts_sequence: BoolArray,
    opens: BoolArray,
    follows: BoolArray,
) -> IntArray:
    """The tag of each word of many sequences laid end to end.

    Args:
        probabilities: `(words, tags)`.
        starts_sequence: `(words,)` true where a word is the first of its sequence.
        opens: `(tags,)` whether a tag may stand at the start of a sequence.
        follows: `(tags, tags)` whether the second tag may stand right after the first.
    """
    tags: IntArray = probabilities.argmax(axis=1)
    possible = np.where(
        starts_sequence, opens[tags], follows[np.concatenate((tags[:1], tags[:-1])), tags]
    )
    if possible.all():
        return tags
    begins = np.flatnonzero(starts_sequence)
    lengths = np.diff(begins, append=len(tags))
    wrong = np.unique((np.cumsum(starts_sequence) - 1)[~possible])
    for group in _groups(wrong[np.argsort(-lengths[wrong], kind="stable")], lengths):
        _search(probabilities, begins[group], lengths[group], opens, follows, tags)
    return tags


def _groups(sequences: IntArray, lengths: IntArray) -> Iterator[IntArray]:
    """Groups of sequences that are searched together; `sequences` has the longest first."""
    first = 0
    while first < len(sequences):
        last = first + max(1, GROUP_WORDS // int(lengths[sequences[first]]))
        yield sequences[first:last]
        first = last


def _search(
    probabilities: NDArray[np.float64],
    begins: IntArray,
    lengths: IntArray,
    opens: BoolArray,
    follows: BoolArray,
    tags: IntArray,
) -> None:
    """Writes the best path of some sequences, the longest first, into `tags`."""
    longest, every = int(lengths[0]), np.arange(len(begins))
    # How many sequences have a word at each place: the first ones, as the longest stand first.
    going = np.searchsorted(-lengths, -np.arange(longest), side="left")
    cost = np.where(follows, 0.0, _IMPOSSIBLE)
    scores = np.log(np.maximum(probabilities[begins], _LEAST)) + np.where(opens, 0.0, _IMPOSSIBLE)
    before = np.zeros((longest, len(begins), len(opens)), dtype=np.int16)
    for place in range(1, longest):
        n = going[place]
        steps = scores[:n, :, None] + cost
        before[place, :n] = steps.argmax(axis=1)
        words = probabilities[begins[:n] + place]
        scores[:n] = steps.max(axis=1) + np.log(np.maximum(words, _LEAST))
    chosen = scores.argmax(axis=1)
    for place in range(longest - 1, -1, -1):
        n = going[place]
        tags[begins[:n] + place] = chosen[:n]
        chosen[:n] = before[place, every[:n], chosen[:n]]
