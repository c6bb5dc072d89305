"""How a training goes on after it was killed, and which epoch's weights it ends with.

Owns what a checkpoint of a fine-tuning holds: the state of the loop, the place in the epoch, the
best epoch so far, and the sampler's state at the beginning of the epoch, from which the same
batches are drawn again.
"""

from __future__ import annotations

import random
from typing import Any

from transformers import PreTrainedModel

from training.loop.checkpoints import Checkpoints
from training.loop.early_stopping import EarlyStopping
from training.loop.processes import Processes
from training.loop.training_loop import TrainingLoop
from training.recipes.recipe import Recipe


class Resumption:
    """The checkpoints of one training. Every process has this object; only the first one writes.

    `sampler` is the random generator that draws the batches.
    """

    def __init__(
        self,
        loop: TrainingLoop,
        model: PreTrainedModel,
        sampler: random.Random,
        recipe: Recipe,
        checkpoints: Checkpoints | None,
        processes: Processes,
    ) -> None:
        self._loop = loop
        self._model = model
        self._sampler = sampler
        self._checkpoints = checkpoints
        self._processes = processes
        self._best: dict[str, Any] = {}  # the best weights, where there are no checkpoints
        self.stopping = EarlyStopping(recipe.patience)

    def go_on(self) -> tuple[int, int]:
        """Restores the last state; returns the epoch and how many of its batches are done."""
        saved = None if self._checkpoints is None else self._checkpoints.load()
        if saved is None:
            return 0, 0
        values = saved.values
        self._loop.restore(saved.tensors, values["steps"])
        version, numbers, gauss = values["sampler"]
        self._sampler.setstate((version, tuple(numbers), gauss))
        self.stopping = EarlyStopping(**values["stopping"])
        return values["epoch"], values["batches_done"]

    def after_step(self, epoch: int, sampler_before: object, batches_done: int) -> None:
        """Saves the state inside an epoch, once in `every_steps` steps."""
        every = self._checkpoints.every_steps if self._checkpoints is not None else 0
        if every and self._loop.steps % every == 0:
            self._save(epoch, batches_done, sampler_before)

    def after_epoch(self, epoch: int, score: float | None) -> None:
        """Takes the score of an epoch, keeps its weights if they are the best, saves the state."""
        older = self.stopping.best_epoch
        if self.stopping.hear(epoch, score):
            self._keep(epoch)
        self._save(epoch + 1, 0, self._sampler.getstate())
        if older is None or older == self.stopping.best_epoch or self._checkpoints is None:
            return
        if self._processes.is_first:  # not before the save: the state before it needs them
            self._checkpoints.forget_weights(_name(older))

    def take_best(self) -> None:
        """Puts the weights of the best epoch into the model, where early stopping chose one.

        Only the first process does this.
        """
        best = self.stopping.best_epoch
        if best is None or not self._processes.is_first:
            return
        kept = (
            self._best if self._checkpoints is None else self._checkpoints.kept_weights(_name(best))
        )
        self._model.load_state_dict(kept)

    def _keep(self, epoch: int) -> None:
        weights = self._model.state_dict()
        if self._checkpoints is None:
            self._best = {name: tensor.clone() for name, tensor in weights.items()}
        elif self._processes.is_first:
            self._checkpoints.keep_weights(_name(epoch), weights)

    def _save(self, epoch: int, batches_done: int, sampler: object) -> None:
        if self._checkpoints is None:
            return
        tensors = self._loop.state()  # all processes take part: each has its own random state
        if self._processes.is_first:
            values = {
                "epoch": epoch,
                "batches_done": batches_done,
                "steps": self._loop.steps,
                "sampler": sampler,
                "stopping": self.stopping.to_dict(),
            }
            self._checkpoints.save(self._loop.steps, values, tensors)


def _name(epoch: int) -> str:
    return f"best-{epoch}"
