"""Trained or imported model -> model package, whole or not at all.

Owns what goes into a package and how it gets there: a temporary folder beside the target, renamed
when it is complete. Which models of others become one is training.foreign_models.model_import's;
what a package must hold to be used is udfs.package.model_package's; what its card says is
training.package.model_card's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from training.package.model_card import CARD, render_card, replace_scores
from udfs.errors import InputError
from udfs.package.model_package import (
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    ModelManifest,
    load_manifest,
    sha256_of,
    write_manifest,
)

VOCABULARY = "vocab.txt"
TOKENIZER_CONFIG = "tokenizer_config.json"
# Settings of tokenizer_config.json that say where the tokenizer once lay, or that only its own
# training needed.
_TOKENIZER_SETTINGS = (
    "tokenizer_class",
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "keep_accents",
    "add_prefix_space",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
    "bos_token",
    "eos_token",
)


def check_output_folder(folder: Path) -> None:
    """Raises InputError where a package cannot be written, before hours of training show it."""
    if folder.exists():
        raise InputError(f"output {folder} exists; name a new folder or remove it")


def write_package(
    folder: Path,
    model: PreTrainedModel,
    base_model: Path,
    manifest: ModelManifest,
    card_facts: dict[str, str],
    datasets: Sequence[str] = (),
) -> ModelManifest:
    """Writes the package of a trained model, see `write_whole` and `render_card`."""

    def fill(draft: Path) -> None:
        _write_weights(draft, model)
        write_tokenizer(draft, base_model, manifest.max_wordpieces)
        card = render_card(manifest, card_facts, datasets)
        (draft / CARD).write_text(card, encoding="utf-8")

    return write_whole(folder, manifest, fill)


def write_whole(
    folder: Path,
    manifest: ModelManifest,
    fill: Callable[[Path], None],
    check: Callable[[Path], None] | None = None,
) -> ModelManifest:
    """Writes a package; returns `manifest` with the checksums of the files filled in.

    `fill` writes all files but the manifest into the folder that it gets, `check` raises where the
    complete package does not do. A run that is cut off leaves a hidden folder beside the target,
    never half a package. Raises InputError where `folder` exists.
    """
    check_output_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(draft)
        # mkdtemp and safetensors make things for their owner alone; executors may be somebody else.
        for path in draft.iterdir():
            path.chmod(0o644)
        files = {path.name: sha256_of(path) for path in sorted(draft.iterdir())}
        complete = dataclasses.replace(manifest, files=files)
        write_manifest(draft, complete)
        if check is not None:
            check(draft)
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return complete


def _write_weights(draft: Path, model: PreTrainedModel) -> None:
    # Half the size. Scores are taken from the package, so what rounding costs is in them.
    weights = {
        name: tensor.to(torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(weights, draft / WEIGHTS, metadata={"format": "pt"})
    config = model.config.to_dict()
    for key in ("_name_or_path", "dtype", "torch_dtype"):
        config.pop(key, None)
    # Without this transformers would open the model in fp16, which is slow on CPUs.
    config["dtype"] = "float32"
    config["architectures"] = [type(model).__name__]
    write_json(draft / CONFIG, config)


def write_tokenizer(draft: Path, base_model: Path, max_wordpieces: int) -> None:
    """The tokenizer of a folder, with what transformers reads beside it, without its limits."""
    if (base_model / VOCABULARY).is_file():
        shutil.copyfile(base_model / VOCABULARY, draft / VOCABULARY)
    tokenizer = json.loads((base_model / TOKENIZER).read_text(encoding="utf-8"))
    # The base model's file cuts at 128 word-pieces and pads to them: whoever opens the package must
    # not lose text by it.
    tokenizer["truncation"] = tokenizer["padding"] = None
    (draft / TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    path = base_model / TOKENIZER_CONFIG
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = {key: settings[key] for key in _TOKENIZER_SETTINGS if key in settings}
    write_json(draft / TOKENIZER_CONFIG, {**kept, "model_max_length": max_wordpieces})


def record_scores(folder: Path, key: str, entry: dict[str, Any]) -> ModelManifest:
    """Puts scores into a package's manifest and card, in place of older ones of the same key.

    Neither changes the fingerprint. The manifest goes last, so that a cut-off run shows as an
    altered card.
    """
    manifest = load_manifest(folder)
    scored = dataclasses.replace(manifest, scores={**manifest.scores, key: entry})
    card = replace_scores((folder / CARD).read_text(encoding="utf-8"), scored)
    _replace_text(folder / CARD, card)
    files = {**manifest.files, CARD: sha256_of(folder / CARD)}
    complete = dataclasses.replace(scored, files=files)
    write_manifest(folder, complete)
    return complete


def _replace_text(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """An object as JSON with sorted keys."""
    path.write_text(
        json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
