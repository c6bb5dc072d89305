"""A masked language model under training: a step, the held-out loss, and its exact state.

The seed and the epoch alone decide which words are hidden, so a training that goes on after a kill
hides the same words. Knows nothing of files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from training.encoders.word_masking import TextPiece, hide_words
from training.examples.examples import Example, pad_batch, shuffled_batches
from training.examples.partial_labels import summed_loss
from training.loop.tensor_names import named_below, optimizer_tensors, restore_optimizer
from training.recipes.adaptation_settings import AdaptationSettings
from training.recipes.recipe import BFLOAT16
from training.recipes.schedule import schedule_factor
from udfs.errors import InputError
from udfs.network.tokenization import WindowTokenizer


class MaskedTraining:
    """A model with its optimiser and schedule; `steps` counts the steps since the beginning."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: WindowTokenizer,
        mask_id: int,
        settings: AdaptationSettings,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._mask_id = mask_id
        self._settings = settings
        self._schedule = settings.schedule()
        self._optimizer = torch.optim.AdamW(
            model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.steps = 0

    def hidden(self, pieces: Sequence[TextPiece], epoch: int) -> list[Example]:
        """The pieces with this epoch's choice of words hidden; epoch 0 is for held-out text."""
        rng = np.random.default_rng((self._settings.seed, epoch))
        share, vocabulary = self._settings.hidden_share, int(self._model.config.vocab_size)
        return [hide_words(piece, share, self._mask_id, vocabulary, rng) for piece in pieces]

    def step(self, batch: Sequence[Example], done: float) -> float:
        """Trains on a batch and returns its loss before the update.

        `done` is the fraction of the run that is over; it decides the learning rate.

        Raises:
            InputError: the loss is not finite.
        """
        self._model.train()
        rate = self._settings.learning_rate * schedule_factor(done, self._schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss(batch)
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {loss.item()}: take a learning rate below "
                f"{self._settings.learning_rate}"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._schedule.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        return float(loss.item())

    def held_out_loss(self, pieces: Sequence[TextPiece]) -> float:
        """The loss in nats for each hidden word-piece; every call hides the same words."""
        self._model.eval()
        total, hidden = 0.0, 0
        examples, budget = self.hidden(pieces, 0), self._settings.batch_wordpieces
        with torch.no_grad():
            for batch in shuffled_batches(examples, budget, random.Random(0)):
                number = sum(int((example.tags >= 0).sum()) for example in batch)
                total += float(self._loss(batch).item()) * number
                hidden += number
        return total / hidden

    def _loss(self, batch: Sequence[Example]) -> Tensor:
        tokenizer, device = self._tokenizer, self._model.device
        arrays = pad_batch(batch, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        ids, mask, tags = (torch.from_numpy(array).to(device) for array in arrays)
        half = self._settings.precision == BFLOAT16
        with (
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=half),
            _only_rows(self._model, tags >= 0),
        ):
            logits = self._model(input_ids=ids, attention_mask=mask).logits
        return summed_loss(logits.float(), tags[tags >= 0][None], None) / (tags >= 0).sum()

    def state(self) -> dict[str, Tensor]:
        """Everything that decides how training goes on, as tensors by name."""
        weights = dict(self._model.named_parameters())  # lists a shared tensor once
        tensors = {f"model/{name}": value.detach() for name, value in weights.items()}
        tensors |= optimizer_tensors(self._optimizer)
        tensors["random/cpu"] = torch.get_rng_state()
        if self._model.device.type == "cuda":
            tensors["random/cuda"] = torch.cuda.get_rng_state(self._model.device)
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Restores what `state` gave after `steps` steps."""
        self.steps = steps
        saved = named_below("model/", tensors)
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(saved[name])
        restore_optimizer(self._optimizer, tensors)
        torch.set_rng_state(tensors["random/cpu"])
        if "random/cuda" in tensors and self._model.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random/cuda"], self._model.device)


@contextmanager
def _only_rows(model: PreTrainedModel, rows: Tensor) -> Iterator[None]:
    """Shows the head only the positions where `rows` is true, as one sequence.

    Over all positions, the product with the vocabulary would cost more than the encoder does.
    """

    def keep(_module: torch.nn.Module, _inputs: object, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[rows][None]
        return output

    handle = model.base_model.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
