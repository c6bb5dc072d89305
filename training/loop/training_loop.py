"""One model under training: its optimiser, its place in the schedule, and all of its state.

Owns a step: forward, loss, backward, update. `state` and `restore` are exact: a restored loop goes
on as if it had never stopped. Knows nothing of documents, the order of epochs, files or scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel

from training.examples.distillation import student_loss, target_matrix
from training.examples.examples import NO_LABEL, Example, pad_batch
from training.examples.partial_labels import hidden_matrix
from training.loop.processes import Processes
from training.loop.tensor_names import named_below, optimizer_tensors, restore_optimizer
from training.recipes.recipe import BFLOAT16, Recipe
from training.recipes.schedule import schedule_factor
from udfs.errors import InputError
from udfs.network.tokenization import WindowTokenizer

AVERAGE_EVERY = 10  # every tenth step adds its weights to the average


@dataclass(frozen=True)
class StepReport:
    """Where the loop stands: `fraction` is the part of the run that is done.

    `loss` is that of the last batch.
    """

    step: int
    epoch: int
    fraction: float
    loss: float
    learning_rate: float


class TrainingLoop:
    """A model with its optimiser and its place in the schedule.

    `groups` are the optimiser's parameter groups; each has its peak learning rate under `peak`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: WindowTokenizer,
        recipe: Recipe,
        groups: list[dict[str, Any]],
        processes: Processes,
        on_step: Callable[[StepReport], None] | None,
    ) -> None:
        self._model = model
        self._shared = processes.wrap(model)
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._processes = processes
        self._on_step = on_step
        self._optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        self._average = AveragedModel(model) if recipe.average_last else None
        self.steps = 0

    def run_epoch(
        self,
        epoch: int,
        batches: Sequence[Sequence[Example]],
        first: int = 0,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        """Trains on the batches from `first` on; `after_step` gets how many batches are done."""
        recipe = self._recipe
        self._model.train()
        for index, batch in enumerate(batches[first:], start=first):
            # The schedule goes by the fraction done, not by steps: since windows are joined at
            # random, epochs differ in their number of steps.
            factor = schedule_factor((epoch + index / len(batches)) / recipe.epochs, recipe)
            for group in self._optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            loss = self._train_step(batch)
            self.steps += 1
            done = (epoch + (index + 1) / len(batches)) / recipe.epochs
            in_average = done > 1 - recipe.average_last and self.steps % AVERAGE_EVERY == 0
            if self._average is not None and in_average:
                self._average.update_parameters(self._model)
            if self._on_step is not None and self._processes.is_first:
                rate = recipe.learning_rate * factor
                self._on_step(StepReport(self.steps, epoch, done, loss, rate))
            if after_step is not None:
                after_step(index + 1)
        self._model.eval()

    def take_average(self) -> None:
        """Puts the average of the last weights into the model, if the recipe asks for one."""
        if self._average is not None and self._average.n_averaged > 0:
            self._model.load_state_dict(self._average.module.state_dict())

    def _train_step(self, batch: Sequence[Example]) -> float:
        recipe, processes = self._recipe, self._processes
        learnt = sum(example.learnt for example in batch)
        loss = self._summed_loss(processes.share(batch), batch)
        # DistributedDataParallel averages over the processes, but each has only a part of the sum:
        # the factor `count` makes it a sum again.
        (loss * (processes.count / max(learnt, 1))).backward()
        mean = processes.total(float(loss.item())) / max(learnt, 1)
        if not math.isfinite(mean):
            raise InputError(
                f"the loss is {mean}: take a learning rate below {recipe.learning_rate}"
            )
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), recipe.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return mean

    def _summed_loss(self, share: Sequence[Example], batch: Sequence[Example]) -> Tensor:
        """The summed loss of this process's share of a batch.

        For an empty share it is the loss of one example times 0, so that this process, too, takes
        part in averaging the gradients.
        """
        tokenizer, recipe, device = self._tokenizer, self._recipe, self._model.device
        shown = share or batch[:1]
        arrays = pad_batch(shown, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        ids, mask, tags = (torch.from_numpy(array).to(device) for array in arrays)
        width, tag_count = ids.shape[1], self._model.config.num_labels
        targets = target_matrix(shown, width, tag_count)
        targets = None if targets is None else targets.to(device)
        if recipe.unknown_probability:
            learnt = tags != NO_LABEL
            learnt = learnt if targets is None else learnt | targets.any(dim=-1)
            chance = torch.rand(ids.shape, device=device)
            hide = (chance < recipe.unknown_probability) & learnt
            ids = ids.masked_fill(hide, tokenizer.unknown_id)
        half = recipe.precision == BFLOAT16
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            logits = self._shared(input_ids=ids, attention_mask=mask).logits
        hidden = hidden_matrix(shown, tag_count)
        hidden = hidden if hidden is None else hidden.to(device)
        loss = student_loss(logits.float(), tags, hidden, targets, recipe)
        return loss if share else loss * 0.0

    def state(self) -> dict[str, Tensor]:
        """Everything that decides how training goes on, as tensors by name."""
        tensors = {f"model/{name}": value for name, value in self._model.state_dict().items()}
        tensors |= optimizer_tensors(self._optimizer)
        if self._average is not None:
            averaged = self._average.state_dict()
            tensors |= {f"average/{name}": value for name, value in averaged.items()}
        tensors["random/cpu"] = self._processes.gather(torch.get_rng_state())
        if self._model.device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state(self._model.device)
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Restores what `state` gave after `steps` steps."""
        self.steps = steps
        self._model.load_state_dict(named_below("model/", tensors))
        restore_optimizer(self._optimizer, tensors)
        if self._average is not None:
            self._average.load_state_dict(named_below("average/", tensors))
        torch.set_rng_state(tensors["random/cpu"][self._processes.rank].clone())
        if "random/cuda" in tensors and self._model.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random/cuda"], self._model.device)
