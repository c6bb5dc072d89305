"""Encoder + documents -> token classifier: a plain torch loop, with every choice in a Recipe.

Owns the optimiser, the schedule and the seeds. Knows nothing of files of a corpus, of scores, of
MLflow or of the terminal: whoever calls it hears of progress through two callbacks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel

from training.base_models import depths, open_base_model
from training.corpus import Document
from training.examples import (
    NO_LABEL,
    Example,
    encode_documents,
    join_neighbours,
    pad_batch,
    shuffled_batches,
)
from training.recipe import Recipe
from udfs.errors import InputError
from udfs.label_scheme import bio_labels
from udfs.tokenization import NO_UNKNOWN, WindowTokenizer

AVERAGE_EVERY = 10  # steps between two of the weights that are averaged


@dataclass(frozen=True)
class StepReport:
    """Where the loop stands: the `fraction` of the run that is done, the `loss` of the batch."""

    step: int
    epoch: int
    fraction: float
    loss: float
    learning_rate: float


def fine_tune(
    base_model: Path,
    documents: Sequence[Document],
    entity_labels: Sequence[str],
    recipe: Recipe,
    *,
    device: str = "cpu",
    on_step: Callable[[StepReport], None] | None = None,
    on_epoch: Callable[[int, PreTrainedModel], None] | None = None,
) -> PreTrainedModel:
    """Trains on all documents and returns the model, in evaluation mode, on the CPU.

    The same arguments, thread count and machine give the same weights. `on_epoch` gets the number
    of the epoch, from 0, and the model in evaluation mode.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    tags = bio_labels(entity_labels)
    model = open_base_model(base_model, tags, recipe.max_wordpieces, recipe.dropout)
    model.to(device)
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
    )
    if not any(groups):
        raise InputError("there is nothing to train on: no document has any text")
    loop = _Loop(model, tokenizer, recipe, on_step)
    for epoch in range(recipe.epochs):
        examples = join_neighbours(groups, recipe.join_probability, recipe.max_wordpieces - 2, rng)
        model.train()
        loop.run_epoch(epoch, shuffled_batches(examples, recipe.batch_wordpieces, rng))
        model.eval()
        if epoch == recipe.epochs - 1:
            loop.take_average()
        if on_epoch is not None:
            on_epoch(epoch, model)
    model.to("cpu")
    return model


class _Loop:
    """The optimiser and where it stands in the schedule."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: WindowTokenizer,
        recipe: Recipe,
        on_step: Callable[[StepReport], None] | None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._on_step = on_step
        groups = _parameter_groups(model, recipe)
        self._optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        self._average = AveragedModel(model) if recipe.average_last else None
        self._step = 0

    def run_epoch(self, epoch: int, batches: Sequence[Sequence[Example]]) -> None:
        recipe = self._recipe
        for index, batch in enumerate(batches):
            # By the fraction that is done: with joined windows epochs differ in their steps.
            factor = schedule_factor((epoch + index / len(batches)) / recipe.epochs, recipe)
            for group in self._optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            loss = self._train_step(batch)
            self._step += 1
            done = (epoch + (index + 1) / len(batches)) / recipe.epochs
            in_average = done > 1 - recipe.average_last and self._step % AVERAGE_EVERY == 0
            if self._average is not None and in_average:
                self._average.update_parameters(self._model)
            if self._on_step is not None:
                rate = recipe.learning_rate * factor
                self._on_step(StepReport(self._step, epoch, done, loss, rate))

    def take_average(self) -> None:
        """Puts the average of the last weights into the model, where the recipe asks for one."""
        if self._average is not None and self._average.n_averaged > 0:
            self._model.load_state_dict(self._average.module.state_dict())

    def _train_step(self, batch: Sequence[Example]) -> float:
        tokenizer, recipe = self._tokenizer, self._recipe
        arrays = pad_batch(batch, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        ids, mask, tags = (torch.from_numpy(array).to(self._model.device) for array in arrays)
        if recipe.unknown_probability:
            chance = torch.rand(ids.shape, device=ids.device)
            hidden = (chance < recipe.unknown_probability) & (tags != NO_LABEL)
            ids = ids.masked_fill(hidden, tokenizer.unknown_id)
        logits = self._model(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1),
            tags.flatten(),
            ignore_index=NO_LABEL,
            label_smoothing=recipe.label_smoothing,
        )
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {loss.item()}: take a learning rate below {recipe.learning_rate}"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), recipe.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return float(loss.item())


def schedule_factor(done: float, recipe: Recipe) -> float:
    """What the peak learning rate is multiplied by when the fraction `done` of the run is over."""
    if done < recipe.warmup:
        return max(done, 1e-3) / recipe.warmup
    left = (1 - done) / (1 - recipe.warmup)
    return left if recipe.decay == "linear" else 0.5 * (1 - math.cos(math.pi * left))


def _parameter_groups(model: PreTrainedModel, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by depth: each layer gets `layer_decay` times the rate of the one above it."""
    depth_of, head = depths(model)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        depth = depth_of[name]
        decays = parameter.ndim > 1  # neither biases nor layer norms shrink
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
