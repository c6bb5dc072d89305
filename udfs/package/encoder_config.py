"""Reads the shape of an encoder from `config.json`, and refuses those that we do not run.

It imports no torch, so that the driver can refuse a model before Spark starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udfs.errors import ModelPackageError
from udfs.package.model_families import FAMILIES, Family

# BERT has 12 or 24. The bound is needed because the names of all tensors are listed before they are
# compared with the weights.
MOST_LAYERS = 1000
ACTIVATIONS = ("gelu", "gelu_new")
_FIXED = (("position_embedding_type", "absolute"), ("is_decoder", False))


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The numbers of `config.json` that decide what the network computes.

    `num_hidden_groups` is how many groups of layers have weights of their own; except in ALBERT,
    each layer is a group. A layer passes through the `inner_group_num` inner layers of its group.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    activation: str
    embedding_size: int
    num_hidden_groups: int
    inner_group_num: int
    first_position: int

    @property
    def family(self) -> Family:
        """The family, which names the keys and the tensors."""
        return FAMILIES[self.model_type]

    @property
    def longest_piece(self) -> int:
        """Most word-pieces that have a position, special tokens included."""
        return self.max_position_embeddings - self.first_position

    def layer_prefixes(self) -> list[str]:
        """The prefix of each layer's tensors, in the order in which layers run; ALBERT's repeat."""
        share = self.num_hidden_layers / self.num_hidden_groups
        return [
            self.family.layer_prefix.format(int(layer / share), inner)
            for layer in range(self.num_hidden_layers)
            for inner in range(self.inner_group_num)
        ]

    @classmethod
    def from_file(cls, path: Path) -> EncoderConfig:
        """Reads `config.json`.

        Raises:
            ModelPackageError: the file does not describe an encoder of one of the families, with
                learned absolute positions and GELU, or a number is missing.
        """
        raw = _read(path)
        model_type = raw.get("model_type")
        family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
        if family is None:
            raise ModelPackageError(
                f"{path}: model_type is {model_type!r}, this engine runs {_listed(FAMILIES)} only; "
                "use a token classification model of one of these families"
            )
        activation = raw.get(family.activation_key, family.activation)
        if activation not in ACTIVATIONS:
            raise ModelPackageError(
                f"{path}: {family.activation_key} is {activation!r}, this engine runs "
                f"{_listed(ACTIVATIONS)} only; use another model"
            )
        for key, wanted in _FIXED:
            if raw.get(key, wanted) != wanted:
                raise ModelPackageError(
                    f"{path}: {key} is {raw[key]!r}, this engine runs {wanted!r} only; "
                    "use another model"
                )
        config = _parse(path, raw, family, activation)
        _check(path, config)
        return config


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise ModelPackageError(f"{path} is not readable JSON; copy the package again")
    return raw


def _parse(path: Path, raw: dict[str, Any], family: Family, activation: str) -> EncoderConfig:
    def number(name: str) -> float:
        value = family.constants.get(name)
        return float(raw[family.keys.get(name, name)] if value is None else value)

    def own(name: str, otherwise: int) -> int:
        return int(number(name)) if name in family.keys else otherwise

    try:
        layers, hidden = int(number("num_hidden_layers")), int(number("hidden_size"))
        padding = raw.get("pad_token_id", 1) if family.positions_after_padding else -1
        return EncoderConfig(
            model_type=family.model_type,
            vocab_size=int(number("vocab_size")),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=int(number("num_attention_heads")),
            intermediate_size=int(number("intermediate_size")),
            max_position_embeddings=int(number("max_position_embeddings")),
            type_vocab_size=int(number("type_vocab_size")),
            layer_norm_eps=number("layer_norm_eps"),
            activation=activation,
            embedding_size=own("embedding_size", hidden),
            num_hidden_groups=own("num_hidden_groups", layers),
            inner_group_num=own("inner_group_num", 1),
            first_position=int(padding) + 1,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelPackageError(
            f"{path}: {error} is missing or not a number; copy the package again"
        ) from None


def _check(path: Path, config: EncoderConfig) -> None:
    def refuse(why: str) -> None:
        raise ModelPackageError(f"{path}: {why}; copy the package again")

    layers, groups = config.num_hidden_layers, config.num_hidden_groups
    if not 1 <= layers <= MOST_LAYERS:
        refuse(f"num_hidden_layers is {layers}, it must be from 1 to {MOST_LAYERS}")
    if not 1 <= groups <= layers:
        refuse(f"num_hidden_groups is {groups}, it must be from 1 to num_hidden_layers {layers}")
    if not 1 <= config.inner_group_num <= MOST_LAYERS // layers:
        refuse(f"inner_group_num is {config.inner_group_num}, too many or too few for {layers}")
    heads = config.num_attention_heads
    if heads < 1 or config.hidden_size % heads:
        refuse(f"hidden_size {config.hidden_size} cannot be split into {heads} heads")
    if config.first_position < 0 or config.longest_piece < 1:
        refuse(
            f"max_position_embeddings {config.max_position_embeddings} leave no position after "
            f"pad_token_id {config.first_position - 1}"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
