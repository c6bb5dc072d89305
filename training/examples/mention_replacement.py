"""An augmentation that replaces mentions by other names of the same label.

The model learns from the words around a mention and meets more names than the corpus holds. Owns
which names there are (mentions in the training texts, and lists of terms) and the exchange of
word-pieces in an example. Knows nothing of files or of the loop. Source: Dai and Adel 2020,
arXiv:2010.11683 ("mention replacement").
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from training.examples.examples import NO_LABEL, Example
from training.recipes.recipe import Recipe
from udfs.network.tokenization import SPECIAL_TOKENS, EncodedWindow, WindowTokenizer

_BEFORE = "the "  # so that a name is cut into word-pieces as it is after another word


@dataclass(frozen=True)
class MentionLexicon:
    """Names by label, in one or two lists: the mentions of a corpus, and terms.

    A name is an example of nothing but its word-pieces and their tags. A list has each name once.
    """

    names: Mapping[str, Sequence[Sequence[Example]]]
    tags: Sequence[str]
    max_body: int

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        terms: Mapping[str, Sequence[str]],
        tokenizer: WindowTokenizer,
        tags: Sequence[str],
        recipe: Recipe,
    ) -> Self:
        """The lexicon of the mentions in the examples and of terms by label."""
        labels = [tag[2:] for tag in tags if tag.startswith("B-")]
        max_body = recipe.max_wordpieces - SPECIAL_TOKENS
        met: dict[str, list[Example]] = {label: [] for label in labels}
        for example in examples:
            for begin, end, label in _mentions(example, tags, max_body):
                met[label].append(Example(example.ids[begin:end], example.tags[begin:end]))
        listed = {
            label: [
                _name(window, tags.index(f"B-{label}"), recipe.label_all_pieces)
                for window in tokenizer.encode([_BEFORE + term for term in terms.get(label, ())])
            ]
            for label in labels
        }
        both = {label: [_distinct(met[label]), _distinct(listed[label])] for label in labels}
        names = {label: [one for one in lists if one] for label, lists in both.items()}
        return cls(names, tags, max_body)

    def replaced(self, example: Example, probability: float, rng: random.Random) -> Example:
        """The example with each mention replaced, with `probability`, by a name of its label.

        A label that has both mentions of the corpus and terms takes its new names from either list
        equally often. An example that would become longer than an input is left as it is. In an
        example with targets, the word-pieces of a new name have none, since teachers did not score
        it there.
        """
        ids: list[NDArray[np.int64]] = []
        tags: list[NDArray[np.int64]] = []
        targets: list[NDArray[np.float32]] = []
        kept_from = 0
        for begin, end, label in _mentions(example, self.tags, self.max_body):
            if rng.random() >= probability:
                continue
            name = rng.choice(rng.choice(self.names[label]))
            ids += [example.ids[kept_from:begin], name.ids]
            tags += [example.tags[kept_from:begin], name.tags]
            if example.targets is not None:
                silent = np.zeros((len(name.ids), len(self.tags)), dtype=np.float32)
                targets += [example.targets[kept_from:begin], silent]
            kept_from = end
        changed = np.concatenate([*ids, example.ids[kept_from:]])
        if not ids or len(changed) > self.max_body:
            return example
        return replace(
            example,
            ids=changed,
            tags=np.concatenate([*tags, example.tags[kept_from:]]),
            targets=None
            if example.targets is None
            else np.concatenate([*targets, example.targets[kept_from:]]),
        )


def _mentions(
    example: Example, tags: Sequence[str], max_body: int
) -> Iterator[tuple[int, int, str]]:
    """`[begin, end)` in word-pieces, and label, of each mention that begins in the example.

    Word-pieces without a tag belong to the word before them. But an example of full length may be a
    piece of a longer window: at its end, word-pieces without a tag may be further words, which
    another piece decides. So a mention that reaches the end of such an example is passed over.
    """
    begin, label = 0, ""
    for place, number in enumerate(example.tags.tolist()):
        if number == NO_LABEL or tags[number] == f"I-{label}":
            continue
        if label:
            yield begin, place, label
        begin, label = place, tags[number][2:] if tags[number].startswith("B-") else ""
    if label and len(example.ids) < max_body:
        yield begin, len(example.ids), label


def _name(window: EncodedWindow, first_tag: int, label_all_pieces: bool) -> Example:
    """The window without its first word, as a name of the label whose B- has number `first_tag`.

    The label's I- has the next number.
    """
    inside = first_tag + 1
    starts = window.first_pieces[1:]
    begin = int(starts[0]) if len(starts) else len(window.ids)
    numbers = np.full(len(window.ids), inside if label_all_pieces else NO_LABEL, dtype=np.int64)
    numbers[starts] = inside
    numbers[starts[:1]] = first_tag
    return Example(window.ids[begin:].astype(np.int64), numbers[begin:])


def _distinct(names: Sequence[Example]) -> list[Example]:
    """The names that are not empty, each once, in the order given."""
    return list({tuple(name.ids.tolist()): name for name in names if len(name.ids)}.values())
