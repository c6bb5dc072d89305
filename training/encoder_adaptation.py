"""Base model + unlabelled text -> base model that has read it: masked-language-model training.

Owns the loop, what is held out to see whether it helps, and the folder that it writes, which
`find_base_model` takes. No text is logged or written. Knows nothing of the command line.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel

from training.adaptation_settings import AdaptationSettings
from training.examples import Example, pad_batch, shuffled_batches
from training.model_package import BASE_FILES, check_output_folder, find_base_model
from training.partial_labels import summed_loss
from training.recipe import BFLOAT16
from training.training_loop import schedule_factor
from training.word_masking import TextPiece, encode_texts, hide_words
from udfs.devices import resolve_device
from udfs.errors import InputError
from udfs.model_package import CONFIG, TOKENIZER, WEIGHTS
from udfs.tokenization import WindowTokenizer

HELD_OUT_SHARE = 20  # one text in so many is not trained on
HEAD = "cls.predictions"


@dataclass(frozen=True)
class Adapted:
    """What came of it: losses on the held-out text before and after each epoch, in nats for each
    hidden word-piece (empty where there are too few texts to hold one out)."""

    head_is_new: bool
    wordpieces: int
    held_out_losses: list[float]


def adapt_encoder(
    base_model: Path | None,
    texts: Sequence[str],
    output: Path,
    settings: AdaptationSettings,
    *,
    device: str = "cpu",
    on_step: Callable[[float, float], None] | None = None,
    on_held_out: Callable[[int, float], None] | None = None,
) -> Adapted:
    """Trains and writes the folder `output`. `on_step` gets the fraction that is done and the loss,
    `on_held_out` the number of epochs that are done and the loss on the held-out text.

    Raises InputError where the base model, the output or the device cannot be used.
    """
    check_output_folder(output)
    folder = find_base_model(base_model)
    where = resolve_device(device)
    torch.manual_seed(settings.seed)
    model, head_is_new = _load(folder, settings)
    model.to(where)
    tokenizer = WindowTokenizer.from_file(folder / TOKENIZER)
    mask_id = Tokenizer.from_file(str(folder / TOKENIZER)).token_to_id("[MASK]")
    if mask_id is None:
        raise InputError(f"base model {folder}: its tokenizer has no [MASK]")
    kept = [
        text for place, text in enumerate(texts) if place % HELD_OUT_SHARE == HELD_OUT_SHARE - 1
    ]
    read = [
        text for place, text in enumerate(texts) if place % HELD_OUT_SHARE != HELD_OUT_SHARE - 1
    ]
    pieces = encode_texts(read, tokenizer, settings.max_wordpieces)
    held_out = encode_texts(kept, tokenizer, settings.max_wordpieces)
    if not pieces:
        raise InputError("there is nothing to train on: no text has a word")

    def hidden(of: Sequence[TextPiece], number: int) -> list[Example]:
        rng = np.random.default_rng((settings.seed, number))
        vocabulary = int(model.config.vocab_size)
        return [hide_words(piece, settings.hidden_share, mask_id, vocabulary, rng) for piece in of]

    def judge(epochs_done: int) -> list[float]:
        if not held_out:
            return []
        # The same words are hidden each time.
        loss = _mean_loss(model, hidden(held_out, 0), tokenizer, settings)
        if on_held_out is not None:
            on_held_out(epochs_done, loss)
        return [loss]

    losses = judge(0)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    order, schedule = random.Random(settings.seed), settings.schedule()
    for epoch in range(settings.epochs):
        model.train()
        batches = shuffled_batches(hidden(pieces, epoch + 1), settings.batch_wordpieces, order)
        for index, batch in enumerate(batches):
            done = (epoch + index / len(batches)) / settings.epochs
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * schedule_factor(done, schedule)
            loss = _loss(model, batch, tokenizer, settings)
            if not torch.isfinite(loss):
                raise InputError(
                    f"the loss is {loss.item()}: take a learning rate below "
                    f"{settings.learning_rate}"
                )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.max_gradient_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if on_step is not None:
                on_step((epoch + (index + 1) / len(batches)) / settings.epochs, float(loss.item()))
        losses += judge(epoch + 1)
    _write(output, model.to("cpu"), folder)
    return Adapted(head_is_new, sum(len(piece.ids) for piece in pieces), losses)


def _load(folder: Path, settings: AdaptationSettings) -> tuple[PreTrainedModel, bool]:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type != "bert":
        raise InputError(f"base model {folder} is of type {config.model_type!r}, not 'bert'")
    if settings.max_wordpieces > config.max_position_embeddings:
        raise InputError(
            f"max_wordpieces {settings.max_wordpieces} must not exceed the base model's "
            f"{config.max_position_embeddings} positions"
        )
    model, loading = AutoModelForMaskedLM.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    return model, any(name.startswith(HEAD) for name in loading["missing_keys"])


def _loss(
    model: PreTrainedModel,
    batch: Sequence[Example],
    tokenizer: WindowTokenizer,
    settings: AdaptationSettings,
) -> torch.Tensor:
    arrays = pad_batch(batch, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
    ids, mask, tags = (torch.from_numpy(array).to(model.device) for array in arrays)
    half = settings.precision == BFLOAT16
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=half):
        logits = model(input_ids=ids, attention_mask=mask).logits
    return summed_loss(logits.float(), tags, None) / (tags >= 0).sum()


def _mean_loss(
    model: PreTrainedModel,
    examples: Sequence[Example],
    tokenizer: WindowTokenizer,
    settings: AdaptationSettings,
) -> float:
    model.eval()
    total, hidden = 0.0, 0
    with torch.no_grad():
        for batch in shuffled_batches(examples, settings.batch_wordpieces, random.Random(0)):
            number = sum(int((example.tags >= 0).sum()) for example in batch)
            total += float(_loss(model, batch, tokenizer, settings).item()) * number
            hidden += number
    return total / hidden


def _write(output: Path, model: PreTrainedModel, base_model: Path) -> None:
    """All of the folder or nothing of it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        model.save_pretrained(draft)
        for name in BASE_FILES:
            if name not in (CONFIG, WEIGHTS):
                shutil.copyfile(base_model / name, draft / name)
        os.replace(draft, output)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
