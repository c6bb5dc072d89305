"""A token classification model that others have trained -> a model package.

Owns the order of the steps. No code in the folder is run: the weights are read as tensors, and the
package gets a new `config.json` that keeps only the numbers of the old one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from training.foreign_models.foreign_labels import check_tags, read_tags, rename_tags
from training.foreign_models.foreign_tokenizer import find_tokenizer
from training.foreign_models.foreign_weights import read_foreign_weights
from training.foreign_models.import_check import compare_logits, open_in_transformers
from training.foreign_models.imported_card import render_imported_card
from training.package.model_card import CARD
from training.package.package_writing import (
    check_output_folder,
    write_json,
    write_tokenizer,
    write_whole,
)
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.label_scheme import ARGMAX
from udfs.errors import InputError, ModelPackageError
from udfs.network.encoder import needed_tensors, refuse_misfits
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import CONFIG, NAME_RULE, WEIGHTS, ModelManifest, is_name

LONGEST_PIECE, OVERLAP = 256, 64  # the values of our own models; a shorter model gets less
_Json = dict[str, Any]
_NUMBERS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
)


@dataclass(frozen=True)
class ImportRequest:
    """What to import. A field that is None is taken from the model, or else from our own models.

    `labels` is a file with one tag a line. `renames` maps old to new names of tags or labels.
    `origin` is the manifest's name for the model that is imported.
    """

    source: Path
    output: Path
    name: str
    origin: str
    labels: Path | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    scheme: str | None = None
    decoding: str = ARGMAX
    max_wordpieces: int | None = None
    overlap: int | None = None

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InputError(f"the name {self.name!r} of the model {NAME_RULE}; give --name")


@dataclass(frozen=True)
class ImportedModel:
    """What an import made; `difference` is the largest between our and transformers' logits."""

    manifest: ModelManifest
    family: str
    parameters: int
    difference: float


def import_model(request: ImportRequest) -> ImportedModel:
    """Makes the package, whole or not at all.

    Raises:
        InputError: the folder lacks something, or its model is not one that this project runs.
    """
    check_output_folder(request.output)
    folder = request.source
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} must be a folder with {CONFIG}, weights and a tokenizer")
    shape = EncoderConfig.from_file(folder / CONFIG)
    raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    tags = rename_tags(read_tags(raw, request.labels), request.renames)
    longest, overlap = _lengths(request, shape)
    manifest = ModelManifest(
        name=request.name,
        labels=tags,
        files={},
        max_wordpieces=longest,
        overlap=overlap,
        base_model=request.origin,
        label_scheme=check_tags(tags, request.scheme, request.decoding),
        decoding=request.decoding,
    )
    tensors = needed_tensors(read_foreign_weights(folder), shape)
    _check_head(tensors, tags)
    refuse_misfits(folder, tensors, shape, len(tags))
    differences: list[float] = []

    def fill(draft: Path) -> None:
        save_file(tensors, draft / WEIGHTS, metadata={"format": "pt"})
        write_json(draft / CONFIG, _plain_config(shape, raw, tags))
        with tempfile.TemporaryDirectory(prefix="clinspan-tokenizer-") as scratch:
            tokenizer = find_tokenizer(folder, shape.model_type, Path(scratch))
            write_tokenizer(draft, tokenizer, longest)
        card = render_imported_card(manifest, shape.family.architecture)
        (draft / CARD).write_text(card, encoding="utf-8")

    def check(draft: Path) -> None:
        try:
            TokenClassifier.load(draft, device="cpu", precision="float32")
        except ModelPackageError as error:  # the draft is gone when somebody reads the message
            raise ModelPackageError(str(error).replace(str(draft), str(folder))) from None
        theirs = open_in_transformers(draft, shape.model_type, raw, len(tags))
        differences.append(compare_logits(draft, shape, manifest, theirs))

    manifest = write_whole(request.output, manifest, fill, check)
    parameters = sum(tensor.numel() for tensor in tensors.values())
    return ImportedModel(manifest, shape.model_type, parameters, differences[0])


def _lengths(request: ImportRequest, shape: EncoderConfig) -> tuple[int, int]:
    longest = request.max_wordpieces or min(LONGEST_PIECE, shape.longest_piece)
    overlap = min(OVERLAP, longest // 4) if request.overlap is None else request.overlap
    if longest > shape.longest_piece:
        raise InputError(
            f"max_wordpieces {longest} must not exceed the model's {shape.longest_piece} positions"
        )
    if not 0 <= overlap < longest - 2:
        raise InputError(f"overlap {overlap} must be at least 0 and less than {longest} - 2")
    return longest, overlap


def _check_head(tensors: Mapping[str, torch.Tensor], tags: tuple[str, ...]) -> None:
    head = tensors.get("classifier.weight")
    if head is None:
        raise InputError(
            "the weights have no classifier.weight: this is no token classification model; "
            "an encoder alone goes to jobs/fine_tune_ner.py --base-model"
        )
    if len(head) != len(tags):
        raise InputError(
            f"the model has {len(head)} output columns and {len(tags)} tags: give one tag for each "
            "column with --labels FILE"
        )


def _plain_config(shape: EncoderConfig, raw: Mapping[str, Any], tags: tuple[str, ...]) -> _Json:
    """A `config.json` of numbers and tags, without keys that make transformers load code."""
    family = shape.family
    names = [name for name in (*_NUMBERS, *family.keys) if name not in family.constants]
    config: dict[str, Any] = {family.keys.get(name, name): getattr(shape, name) for name in names}
    chances = {
        key: raw[key] for key in family.dropout_keys if isinstance(raw.get(key), int | float)
    }
    if isinstance(raw.get("pad_token_id"), int):
        config["pad_token_id"] = raw["pad_token_id"]
    return {
        **config,
        **chances,
        "model_type": family.model_type,
        "architectures": [family.architecture],
        family.activation_key: shape.activation,
        "id2label": {str(column): tag for column, tag in enumerate(tags)},
        "label2id": {tag: column for column, tag in enumerate(tags)},
        "dtype": "float32",
    }
