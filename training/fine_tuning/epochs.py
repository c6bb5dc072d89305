"""Encoder + documents -> token classifier, with every choice in a Recipe.

Owns the epochs, the seeds and the parameter groups. `training_loop.py` owns a step, `resumption.py`
how a killed run goes on. Knows nothing of the files of a corpus, of how scores are computed, of
MLflow or of the terminal: two callbacks report progress to the caller.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from training.corpora.documents import Document
from training.encoders.base_models import depths, open_base_model
from training.examples.examples import Example, encode_documents, join_neighbours, shuffled_batches
from training.examples.mention_replacement import MentionLexicon
from training.examples.soft_targets import (
    ask_teachers,
    unlabelled_examples,
    windows_of_epoch,
    without_tags,
)
from training.examples.teachers import Teaching
from training.loop.checkpoints import Checkpoints
from training.loop.processes import ONE_PROCESS, Processes
from training.loop.resumption import Resumption
from training.loop.training_loop import StepReport, TrainingLoop
from training.recipes.recipe import Recipe
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import InputError
from udfs.network.tokenization import NO_UNKNOWN, WindowTokenizer


@dataclass(frozen=True)
class FineTuned:
    """A model after training; `best_epoch` (from 0) is set if early stopping chose the weights."""

    model: PreTrainedModel
    best_epoch: int | None = None


def fine_tune(
    base_model: Path,
    documents: Sequence[Document],
    entity_labels: Sequence[str],
    recipe: Recipe,
    *,
    annotated: Sequence[Collection[str]] | None = None,
    device: str = "cpu",
    on_step: Callable[[StepReport], None] | None = None,
    on_epoch: Callable[[int, PreTrainedModel], float | None] | None = None,
    checkpoints: Checkpoints | None = None,
    processes: Processes = ONE_PROCESS,
    teaching: Teaching | None = None,
    terms: Mapping[str, Sequence[str]] | None = None,
) -> FineTuned:
    """Trains on all documents and returns the model, in evaluation mode, on the CPU.

    The same arguments, thread count and machine give the same weights, even if a run is killed and
    then resumed.

    Args:
        base_model: folder of the encoder to start from.
        documents: the annotated documents.
        entity_labels: the labels that the model learns.
        recipe: every choice of the training.
        annotated: for each document, the labels that its corpus annotates; None: all.
        device: name of the device in torch.
        on_step: called after each step, in the first process alone.
        on_epoch: called after each epoch, in the first process alone, with the number of the epoch
            (from 0) and the model in evaluation mode. It returns the score by which the best epoch
            is chosen where the recipe has patience.
        checkpoints: where states are kept; if they hold the state of a killed run, training goes
            on from there.
        processes: the processes that train together.
        teaching: teachers that the student learns from too; they must fit it (`check_teachers`).
        terms: names by label that mentions may be replaced by, beside those of the documents.

    Raises:
        InputError: the base model, the tokenizer, the documents or the checkpoint cannot be used
            with this recipe, or the loss is not finite.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    tags = bio_labels(entity_labels)
    model = open_base_model(base_model, tags, recipe.max_wordpieces, recipe.dropout, recipe.layers)
    model.to(device)
    if not processes.is_first:  # each process draws its own dropout, as the examples of a batch do
        torch.manual_seed(recipe.seed + 1_000_003 * processes.rank)
    tokenizer = WindowTokenizer.from_file(base_model / "tokenizer.json")
    if recipe.unknown_probability and tokenizer.unknown_id == NO_UNKNOWN:
        raise InputError("unknown_probability must be 0: this tokenizer has no unknown token")
    groups = encode_documents(
        documents,
        tokenizer,
        tags,
        max_wordpieces=recipe.max_wordpieces,
        overlap=recipe.overlap,
        label_all_pieces=recipe.label_all_pieces,
        annotated=annotated,
    )
    if not any(groups):
        raise InputError("there is nothing to train on: no document has any text")
    unlabelled: list[Example] = []
    if teaching is not None:
        groups, unlabelled = _taught(groups, teaching, tokenizer, tags, recipe, device)
    chance, names = recipe.replace_probability, None
    if chance:
        labelled = [example for group in groups for example in group]
        names = MentionLexicon.of(labelled, terms or {}, tokenizer, tags, recipe)
    loop = TrainingLoop(
        model, tokenizer, recipe, _parameter_groups(model, recipe), processes, on_step
    )
    resumption = Resumption(loop, model, rng, recipe, checkpoints, processes)
    epoch, done = resumption.go_on()
    while epoch < recipe.epochs and not resumption.stopping.is_over:
        before = rng.getstate()
        shown = groups
        if names is not None:
            shown = [[names.replaced(one, chance, rng) for one in group] for group in groups]
        examples = join_neighbours(shown, recipe.join_probability, recipe.max_wordpieces - 2, rng)
        examples += windows_of_epoch(unlabelled, epoch, recipe.epochs)
        batches = shuffled_batches(examples, recipe.batch_wordpieces, rng)
        loop.run_epoch(epoch, batches, done, partial(resumption.after_step, epoch, before))
        if epoch == recipe.epochs - 1:
            loop.take_average()
        score = on_epoch(epoch, model) if on_epoch is not None and processes.is_first else None
        resumption.after_epoch(epoch, processes.said_by_first(score))
        epoch, done = epoch + 1, 0
    resumption.take_best()
    model.to("cpu")
    return FineTuned(model, resumption.stopping.best_epoch)


def _taught(
    groups: Sequence[Sequence[Example]],
    teaching: Teaching,
    tokenizer: WindowTokenizer,
    tags: Sequence[str],
    recipe: Recipe,
    device: str,
) -> tuple[list[list[Example]], list[Example]]:
    """The groups with the teachers' targets, and the unlabelled examples of all epochs."""
    labelled = [example for group in groups for example in group]
    most = math.ceil(len(labelled) * recipe.unlabelled_ratio) * recipe.epochs
    more = unlabelled_examples(teaching.unlabelled, tokenizer, tags, recipe, most)
    asked = ask_teachers(
        teaching.teachers, [*labelled, *more], tokenizer, len(tags), recipe.temperature, device
    )
    taught = iter(asked)
    regrouped = [[next(taught) for _ in group] for group in groups]
    return regrouped, [without_tags(example) for example in taught]


def _parameter_groups(model: PreTrainedModel, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by depth: each layer gets `layer_decay` times the rate of the one above it."""
    depth_of, head = depths(model)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        depth = depth_of[name]
        decays = parameter.ndim > 1  # biases and layer norms have no weight decay
        peak = recipe.learning_rate * recipe.layer_decay ** (head - depth)
        group = groups.setdefault(
            (depth, decays),
            {
                "params": [],
                "lr": peak,
                "peak": peak,
                "weight_decay": recipe.weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())
