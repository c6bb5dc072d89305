"""Gold documents -> what the model is trained on: word-piece ids with a tag number for each.

Documents go through the same steps as in production: segment_note -> windows -> WindowTokenizer ->
cut_pieces. Owns the joining of neighbouring windows (an augmentation) and the batches by word-piece
budget. Knows nothing of torch or of the loop.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.corpora.documents import Document
from udfs.decoding.label_scheme import spans_to_tags
from udfs.network.tokenization import SPECIAL_TOKENS, EncodedWindow, WindowTokenizer, cut_pieces
from udfs.network.word_borders import NO_WORD
from udfs.spans import Span
from udfs.text.segmentation import segment_note

NO_LABEL = -100  # what torch's cross entropy leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """Word-pieces of a window and the tag number of each.

    Attributes:
        ids: the word-pieces, without special tokens.
        tags: the tag numbers; NO_LABEL where a word-piece is not trained on.
        hidden: the numbers of the tags that the example's corpus does not annotate.
        targets: `(word-pieces, tags)` probabilities of teachers, 0 where they do not decide.
    """

    ids: NDArray[np.int64]
    tags: NDArray[np.int64]
    hidden: tuple[int, ...] = ()
    targets: NDArray[np.float32] | None = None

    @property
    def learnt(self) -> int:
        """The number of word-pieces that are trained on, by a tag or by teachers."""
        has_tag = self.tags != NO_LABEL
        if self.targets is not None:
            has_tag = has_tag | self.targets.any(axis=1)
        return int(has_tag.sum())


def encode_documents(
    documents: Sequence[Document],
    tokenizer: WindowTokenizer,
    tags: Sequence[str],
    *,
    max_wordpieces: int,
    overlap: int,
    label_all_pieces: bool = False,
    annotated: Sequence[Collection[str]] | None = None,
) -> list[list[Example]]:
    """The examples of each document, in text order.

    The first word-piece of a word has its tag, since that one decides in production; with
    `label_all_pieces` the later ones get it too (as I-). Where a window is cut into pieces, each
    piece is trained only on the part that it decides in production. `annotated` are, for each
    document, the labels that its corpus annotates; None: all.
    """
    tag_numbers = {tag: number for number, tag in enumerate(tags)}
    hidden = [hidden_tags(tags, of) for of in annotated] if annotated else [()] * len(documents)
    return [
        [
            replace(example, hidden=unseen)
            for window, spans in _windows(document, tokenizer)
            for example in _window_examples(
                window,
                spans,
                tag_numbers,
                max_wordpieces - SPECIAL_TOKENS,
                overlap,
                label_all_pieces,
            )
        ]
        for document, unseen in zip(documents, hidden, strict=True)
    ]


def hidden_tags(tags: Sequence[str], annotated: Collection[str]) -> tuple[int, ...]:
    """The numbers of the tags whose labels are not among the annotated ones."""
    return tuple(
        number for number, tag in enumerate(tags) if tag != "O" and tag[2:] not in annotated
    )


def _windows(
    document: Document, tokenizer: WindowTokenizer
) -> Iterator[tuple[EncodedWindow, list[Span]]]:
    borders = segment_note(document.text)
    encoded = tokenizer.encode([document.text[begin:end] for begin, end in borders])
    for (begin, end), window in zip(borders, encoded, strict=True):
        # A mention that crosses a border is in both windows, with tags in each.
        spans = [
            Span(span.begin - begin, span.end - begin, span.label)
            for span in document.spans
            if span.begin < end and span.end > begin
        ]
        yield window, spans


def _window_examples(
    window: EncodedWindow,
    spans: Sequence[Span],
    tag_numbers: dict[str, int],
    max_body: int,
    overlap: int,
    label_all_pieces: bool,
) -> Iterator[Example]:
    words = list(zip(window.word_begins.tolist(), window.word_ends.tolist(), strict=True))
    word_tags = spans_to_tags(words, spans)
    labels = np.full(len(window.ids), NO_LABEL, dtype=np.int64)
    if label_all_pieces:
        inside = [tag_numbers[tag.replace("B-", "I-", 1)] for tag in word_tags]
        of_a_word = window.word_index != NO_WORD
        labels[of_a_word] = np.array(inside, dtype=np.int64)[window.word_index[of_a_word]]
    labels[window.first_pieces] = [tag_numbers[tag] for tag in word_tags]
    ids = window.ids.astype(np.int64)
    if not len(ids):
        return
    for piece in cut_pieces(len(ids), max_body, overlap):
        decided = np.full(piece.end - piece.begin, NO_LABEL, dtype=np.int64)
        inner = slice(piece.decides_from - piece.begin, piece.decides_to - piece.begin)
        decided[inner] = labels[piece.decides_from : piece.decides_to]
        yield Example(ids[piece.begin : piece.end], decided)


def join_neighbours(
    groups: Sequence[Sequence[Example]], probability: float, max_body: int, rng: random.Random
) -> list[Example]:
    """All examples, each joined with `probability` to the one before it in its document.

    Examples are joined only while they fit into `max_body` together. Windows of a clinical note are
    longer and more varied than the sentences of an abstract; joined windows show the model context.
    """
    joined: list[Example] = []
    for group in groups:
        run: list[Example] = []
        for example in group:
            length = sum(len(part.ids) for part in run) + len(example.ids)
            if run and (length > max_body or rng.random() >= probability):
                joined.append(_concatenate(run))
                run = []
            run.append(example)
        if run:
            joined.append(_concatenate(run))
    return joined


def _concatenate(run: Sequence[Example]) -> Example:
    if len(run) == 1:
        return run[0]
    targets = [part.targets for part in run if part.targets is not None]
    return Example(
        np.concatenate([part.ids for part in run]),
        np.concatenate([part.tags for part in run]),
        run[0].hidden,
        np.concatenate(targets) if len(targets) == len(run) else None,
    )


def shuffled_batches(
    examples: Sequence[Example], wordpiece_budget: int, rng: random.Random
) -> list[list[Example]]:
    """Batches of examples of similar length, in random order.

    The padded size of a batch stays within the budget; only a single long example may exceed it.
    """
    order = list(examples)
    rng.shuffle(order)
    # The sort is stable: examples of similar length stay shuffled, so batches differ by epoch.
    order.sort(key=lambda example: len(example.ids) // 4)
    batches: list[list[Example]] = [[]]
    for example in order:
        widest = (
            max((len(member.ids) for member in (*batches[-1], example)), default=0) + SPECIAL_TOKENS
        )
        if batches[-1] and widest * (len(batches[-1]) + 1) > wordpiece_budget:
            batches.append([])
        batches[-1].append(example)
    rng.shuffle(batches)
    return [batch for batch in batches if batch]


def pad_batch(
    batch: Sequence[Example], cls_id: int, sep_id: int, pad_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Ids, attention mask and tags, each `(examples, longest + 2)`, with [CLS] and [SEP]."""
    width = max(len(example.ids) for example in batch) + SPECIAL_TOKENS
    ids = np.full((len(batch), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(batch), width), dtype=np.int64)
    tags = np.full((len(batch), width), NO_LABEL, dtype=np.int64)
    for row, example in enumerate(batch):
        length = len(example.ids)
        ids[row, 0] = cls_id
        ids[row, 1 : length + 1] = example.ids
        ids[row, length + 1] = sep_id
        mask[row, : length + SPECIAL_TOKENS] = 1
        tags[row, 1 : length + 1] = example.tags
    return ids, mask, tags
