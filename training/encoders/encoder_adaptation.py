"""Masked-language-model training of a base model, or of a new encoder, on unlabelled text.

The result is a folder that `find_base_model` takes as a base model. Owns that folder, the held-out
texts that show whether the training helps, and going on after a kill. No text is logged or written.
Knows nothing of the command line.
"""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from training.corpora.unlabelled_text import digest_texts
from training.encoders.base_models import find_base_model
from training.encoders.masked_models import find_mask_id, new_masked_model, open_masked_model
from training.encoders.masked_training import MaskedTraining
from training.encoders.word_masking import TextPiece, encode_texts
from training.examples.examples import shuffled_batches
from training.loop.checkpoints import (
    Checkpoints,
    SavedState,
    check_unfinished,
    remove_work_folder,
    work_folder,
)
from training.package.package_writing import TOKENIZER_CONFIG, VOCABULARY, check_output_folder
from training.recipes.adaptation_settings import AdaptationSettings, NewEncoder
from udfs.errors import InputError
from udfs.network.devices import resolve_device
from udfs.network.tokenization import WindowTokenizer
from udfs.package.model_package import TOKENIZER, WEIGHTS, sha256_of

HELD_OUT_SHARE = 20  # every 20th text is held out


@dataclass(frozen=True)
class AdaptationRequest:
    """Which texts train which encoder, and where the result goes.

    `base_model` None means the installed one. With `new_encoder`, training starts from random
    weights of that shape and takes only the tokenizer from the base model. `checkpoint_steps` and
    `resume` are as in a TrainingRequest.
    """

    texts: Sequence[str]
    output: Path
    base_model: Path | None = None
    new_encoder: NewEncoder | None = None
    device: str = "cpu"
    checkpoint_steps: int = 500
    resume: bool = False


@dataclass(frozen=True)
class Watcher:
    """Callbacks that report how a training goes.

    `on_step` gets the fraction of the run that is done and the loss of the step. `on_held_out` gets
    the number of epochs that are done and the loss on the held-out text, in nats for each hidden
    word-piece.
    """

    on_step: Callable[[float, float], None]
    on_held_out: Callable[[int, float], None]


@dataclass(frozen=True)
class Adapted:
    """Whether the head that guesses words was new, and the number of word-pieces in one epoch."""

    head_is_new: bool
    wordpieces: int


def check_adaptation(request: AdaptationRequest) -> None:
    """Checks a request before training; writes nothing.

    Raises:
        InputError: the base model, the output or the device cannot be used.
    """
    check_output_folder(request.output)
    check_unfinished(request.output, request.resume)
    find_base_model(request.base_model)
    resolve_device(request.device)
    if request.checkpoint_steps < 0:
        raise InputError(f"checkpoint_steps {request.checkpoint_steps} must be at least 0")


def adapt_encoder(
    request: AdaptationRequest, settings: AdaptationSettings, watcher: Watcher
) -> Adapted:
    """Trains an encoder and writes it to the folder `request.output`.

    The same request gives the same weights on the same machine, even if the training is killed and
    then resumed.

    Raises:
        InputError: the request cannot be met, or the loss is not finite.
    """
    check_adaptation(request)
    folder = find_base_model(request.base_model)
    torch.manual_seed(settings.seed)
    tokenizer = WindowTokenizer.from_file(folder / TOKENIZER)
    if request.new_encoder is None:
        model, head_is_new = open_masked_model(folder, settings.max_wordpieces)
    else:
        model = new_masked_model(request.new_encoder, tokenizer, settings.max_wordpieces)
        head_is_new = True
    model.to(resolve_device(request.device))
    read = [text for place, text in enumerate(request.texts, 1) if place % HELD_OUT_SHARE]
    kept = [text for place, text in enumerate(request.texts, 1) if not place % HELD_OUT_SHARE]
    pieces = encode_texts(read, tokenizer, settings.max_wordpieces)
    if not pieces:
        raise InputError("there is nothing to train on: no text has a word")
    identity = _identity(request, settings, folder)
    checkpoints = Checkpoints(work_folder(request.output), identity, request.checkpoint_steps)
    training = MaskedTraining(model, tokenizer, find_mask_id(folder), settings)
    held_out = encode_texts(kept, tokenizer, settings.max_wordpieces)
    saved = checkpoints.load()
    try:
        _train(training, pieces, held_out, settings, checkpoints, saved, watcher)
    except InputError:  # these settings cannot succeed, so no checkpoint is of use
        remove_work_folder(request.output)
        raise
    _write(request.output, model.to("cpu"), folder)
    remove_work_folder(request.output)
    return Adapted(head_is_new, sum(len(piece.ids) for piece in pieces))


def _train(
    training: MaskedTraining,
    pieces: Sequence[TextPiece],
    held_out: Sequence[TextPiece],
    settings: AdaptationSettings,
    checkpoints: Checkpoints,
    saved: SavedState | None,
    watcher: Watcher,
) -> None:
    epoch, done, order = 0, 0, random.Random(settings.seed)
    if saved is not None:
        training.restore(saved.tensors, saved.values["steps"])
        epoch, done = saved.values["epoch"], saved.values["batches_done"]
        version, numbers, gauss = saved.values["order"]
        order.setstate((version, tuple(numbers), gauss))
    elif held_out:
        watcher.on_held_out(0, training.held_out_loss(held_out))

    def save(epoch: int, batches_done: int, order: object) -> None:
        values = {"epoch": epoch, "batches_done": batches_done, "order": order}
        values["steps"] = training.steps
        checkpoints.save(training.steps, values, training.state())

    while epoch < settings.epochs:
        before = order.getstate()
        hidden = training.hidden(pieces, epoch + 1)
        batches = shuffled_batches(hidden, settings.batch_wordpieces, order)
        for index, batch in enumerate(batches[done:], start=done):
            loss = training.step(batch, (epoch + index / len(batches)) / settings.epochs)
            watcher.on_step((epoch + (index + 1) / len(batches)) / settings.epochs, loss)
            every = checkpoints.every_steps
            if every and training.steps % every == 0:
                save(epoch, index + 1, before)
        epoch, done = epoch + 1, 0
        save(epoch, 0, order.getstate())
        if held_out:
            watcher.on_held_out(epoch, training.held_out_loss(held_out))


def _identity(
    request: AdaptationRequest, settings: AdaptationSettings, folder: Path
) -> dict[str, Any]:
    """The values that must be equal for a training to go on from a checkpoint."""
    new = request.new_encoder
    return {
        **dataclasses.asdict(settings),
        "texts_digest": digest_texts(request.texts),
        "base_model_sha256": sha256_of(folder / WEIGHTS),
        "new_encoder": None if new is None else dataclasses.asdict(new),
    }


def _write(output: Path, model: PreTrainedModel, base_model: Path) -> None:
    """Writes the folder, whole or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        model.save_pretrained(draft)
        for name in (TOKENIZER, VOCABULARY, TOKENIZER_CONFIG):
            if (base_model / name).is_file():
                shutil.copyfile(base_model / name, draft / name)
        os.replace(draft, output)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
