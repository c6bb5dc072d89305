"""Teachers' probabilities for the word-pieces of examples, computed once before training.

Owns how teachers are asked, the mean of several, and which unlabelled windows an epoch has. Knows
nothing of the checks of packages (`teachers.py`) or of the loss (`distillation.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.corpora.documents import make_document
from training.examples.examples import NO_LABEL, Example, encode_documents
from training.recipes.recipe import Recipe
from udfs.decoding.span_decoding import softmax
from udfs.network.devices import resolve_device
from udfs.network.encoder import Encoder
from udfs.network.packing import next_batch
from udfs.network.tokenization import SPECIAL_TOKENS, WindowTokenizer
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import CONFIG, WEIGHTS
from udfs.text.segmentation import segment_note

POSITIONS_PER_BATCH = 4096  # as in production


def ask_teachers(
    teachers: Sequence[Path],
    examples: Sequence[Example],
    tokenizer: WindowTokenizer,
    tags: int,
    temperature: float,
    device: str = "cpu",
) -> list[Example]:
    """The examples with the teachers' probabilities as targets, where they have a tag.

    A target is the mean over the teachers of softmax(logits / temperature). Each example is an
    input of its own, as it is in training.
    """
    totals = [np.zeros((len(example.ids), tags), dtype=np.float32) for example in examples]
    for folder in teachers:
        config = EncoderConfig.from_file(folder / CONFIG)
        encoder = Encoder(folder / WEIGHTS, config, tags, resolve_device(device), torch.float32)
        for index, logits in _logits(encoder, examples, tokenizer):
            totals[index] += softmax(logits / temperature)
    return [
        replace(example, targets=total / len(teachers) * (example.tags != NO_LABEL)[:, np.newaxis])
        for example, total in zip(examples, totals, strict=True)
    ]


def _logits(
    encoder: Encoder, examples: Sequence[Example], tokenizer: WindowTokenizer
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yields each example's index and its logits, `(word-pieces, tags)`; the longest come first."""
    order = sorted(range(len(examples)), key=lambda index: -len(examples[index].ids))
    lengths = np.array([len(examples[i].ids) + SPECIAL_TOKENS for i in order], dtype=np.int64)
    ends = np.cumsum(lengths)
    first = 0
    while first < len(order):
        last = next_batch(ends, first, POSITIONS_PER_BATCH)
        ids = [[tokenizer.cls_id, *examples[i].ids, tokenizer.sep_id] for i in order[first:last]]
        found = encoder.logits(np.concatenate(ids), lengths[first:last]).cpu().numpy()
        parts = np.split(found, np.cumsum(lengths[first:last])[:-1])
        for index, part in zip(order[first:last], parts, strict=True):
            yield index, part[1:-1]
        first = last


def unlabelled_examples(
    texts: Sequence[str],
    tokenizer: WindowTokenizer,
    tags: Sequence[str],
    recipe: Recipe,
    most: int,
) -> list[Example]:
    """At most `most` examples of different windows of the texts, drawn with the recipe's seed.

    They stay in the order drawn. Their tags are all O and only mark where a word begins;
    `without_tags` removes them later.
    """
    windows = dict.fromkeys(text[begin:end] for text in texts for begin, end in segment_note(text))
    drawn = list(windows)
    random.Random(recipe.seed).shuffle(drawn)
    documents = [make_document(str(number), text, ()) for number, text in enumerate(drawn[:most])]
    groups = encode_documents(
        documents,
        tokenizer,
        tags,
        max_wordpieces=recipe.max_wordpieces,
        overlap=recipe.overlap,
    )
    return [example for group in groups for example in group][:most]


def without_tags(example: Example) -> Example:
    """The example without tags, to be learnt from teachers alone."""
    return replace(example, tags=np.full_like(example.tags, NO_LABEL))


def windows_of_epoch(pool: Sequence[Example], epoch: int, epochs: int) -> Sequence[Example]:
    """The epoch's own part of the examples that were drawn for all epochs."""
    return pool[len(pool) * epoch // epochs : len(pool) * (epoch + 1) // epochs]
