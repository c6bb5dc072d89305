"""Trained or imported model -> model package, whole or not at all.

Owns what goes into a package and how it gets there: into a temporary folder beside the target,
which is renamed when it is complete. Other modules own which models of others become a package
(`training.foreign_models.model_import`), what a package must hold to be used
(`udfs.package.model_package`) and what its card says (`training.package.model_card`).
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
# The settings of tokenizer_config.json that a package keeps. The others say where the tokenizer
# once lay, or only its own training needed them.
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
    """Checks, before hours of training, that the package can be written.

    Raises:
        InputError: the folder exists.
    """
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
    """Writes the package of a trained model; see `write_whole` and `render_card`."""

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

    A run that is cut off leaves a hidden folder beside the target, never half a package.

    Args:
        folder: the new folder of the package.
        manifest: the manifest without checksums.
        fill: writes all files but the manifest into the folder that it gets.
        check: raises if the complete package, in the folder that it gets, is not good enough.

    Raises:
        InputError: `folder` exists.
    """
    check_output_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(draft)
        # mkdtemp and safetensors give access to the owner only; executors may run as another user.
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
    # 16 bits halve the size. Scores are measured on the package, so they include the cost of
    # rounding.
    weights = {
        name: tensor.to(torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(weights, draft / WEIGHTS, metadata={"format": "pt"})
    config = model.config.to_dict()
    for key in ("_name_or_path", "dtype", "torch_dtype"):
        config.pop(key, None)
    # Without this, transformers would open the model in fp16, which is slow on CPUs.
    config["dtype"] = "float32"
    config["architectures"] = [type(model).__name__]
    write_json(draft / CONFIG, config)


def write_tokenizer(draft: Path, base_model: Path, max_wordpieces: int) -> None:
    """Writes the base model's tokenizer, and the files that transformers reads beside it.

    Its truncation and padding are removed; the longest input is `max_wordpieces`.
    """
    if (base_model / VOCABULARY).is_file():
        shutil.copyfile(base_model / VOCABULARY, draft / VOCABULARY)
    tokenizer = json.loads((base_model / TOKENIZER).read_text(encoding="utf-8"))
    # The base model's file truncates at 128 word-pieces and pads to them. Whoever opens the package
    # must not lose text that way.
    tokenizer["truncation"] = tokenizer["padding"] = None
    (draft / TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    path = base_model / TOKENIZER_CONFIG
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = {key: settings[key] for key in _TOKENIZER_SETTINGS if key in settings}
    write_json(draft / TOKENIZER_CONFIG, {**kept, "model_max_length": max_wordpieces})


def record_scores(folder: Path, key: str, entry: dict[str, Any]) -> ModelManifest:
    """Puts scores into a package's manifest and card; they replace older ones of the same key.

    The fingerprint stays the same. The manifest is written last: after a run that is cut off, the
    card does not fit its checksum, which shows as an altered card.
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
    """Writes an object as JSON with sorted keys."""
    path.write_text(
        json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
