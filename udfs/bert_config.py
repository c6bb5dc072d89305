"""The shape of a BERT encoder, read from ``config.json``, and the refusal of every other one.

Without torch, so that the driver can refuse a model before Spark starts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from udfs.errors import ModelPackageError

# BERT has 12 or 24. Before the weights are compared with it, the list of all tensors is made.
MOST_LAYERS = 1000


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The numbers of ``config.json`` that decide the shape of the network."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float

    @classmethod
    def from_file(cls, path: Path) -> BertConfig:
        """Reads ``config.json``.

        Raises:
            ModelPackageError: it is not a BERT encoder with learned absolute positions and GELU,
                or a number is missing.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            architecture = raw.get("model_type")
        except (ValueError, OSError, AttributeError, RecursionError):
            message = f"{path} is not readable JSON; copy the package again"
            raise ModelPackageError(message) from None
        for key, wanted in (
            ("model_type", "bert"),
            ("hidden_act", "gelu"),
            ("position_embedding_type", "absolute"),
        ):
            if raw.get(key, wanted) != wanted or architecture is None:
                raise ModelPackageError(
                    f"{path}: {key} is {raw.get(key)!r}, this engine runs {wanted!r} only; "
                    "use a BertForTokenClassification model"
                )
        try:
            config = cls(**{name: kind(raw[name]) for name, kind in _CONFIG_TYPES.items()})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelPackageError(
                f"{path}: {error} is missing or not a number; copy the package again"
            ) from None
        if not 1 <= config.num_hidden_layers <= MOST_LAYERS:
            raise ModelPackageError(
                f"{path}: num_hidden_layers is {config.num_hidden_layers}, it must be from 1 to "
                f"{MOST_LAYERS}; copy the package again"
            )
        heads = config.num_attention_heads
        if heads < 1 or config.hidden_size % heads:
            raise ModelPackageError(
                f"{path}: hidden_size {config.hidden_size} cannot be split into {heads} heads; "
                "copy the package again"
            )
        return config


_CONFIG_TYPES = {
    "vocab_size": int,
    "hidden_size": int,
    "num_hidden_layers": int,
    "num_attention_heads": int,
    "intermediate_size": int,
    "max_position_embeddings": int,
    "type_vocab_size": int,
    "layer_norm_eps": float,
}
