"""Every setting of a training run, with its meaning and its limits.

The fields become flags of the command line. Owns the recommended recipe (the defaults). Imports no
torch, so that wrong settings are refused at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from udfs.errors import InputError

FLOAT32, BFLOAT16 = "float32", "bfloat16"


def setting(default: Any, meaning: str) -> Any:
    """A field of a recipe with its default; `meaning` becomes the help of its flag."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Recipe:
    """Every setting of a training run.

    The defaults are the recommended recipe; docs/decisions/models.md has the runs behind them.
    """

    epochs: int = setting(5, "passes over the training parts")
    learning_rate: float = setting(3e-4, "peak learning rate of the head and the last layer")
    batch_wordpieces: int = setting(768, "word-pieces in one batch, padding counted")
    warmup: float = setting(0.1, "fraction of the run in which the learning rate rises")
    decay: str = setting("linear", "how it falls after that: linear or cosine")
    weight_decay: float = setting(0.01, "of AdamW; biases and layer norms are left out")
    layer_decay: float = setting(
        1.0, "each layer's learning rate as a multiple of that of the layer above it"
    )
    max_gradient_norm: float = setting(1.0, "longer gradients are cut to this length")
    dropout: float = setting(0.1, "in attention and between layers")
    label_smoothing: float = setting(
        0.0, "probability taken from the right tag and spread over all"
    )
    label_all_pieces: bool = setting(
        False, "train on every word-piece of a word, not on the first alone"
    )
    join_probability: float = setting(0.0, "chance that a window is joined to the one before it")
    unknown_probability: float = setting(
        0.0, "chance that a word-piece is hidden behind [UNK] in training"
    )
    replace_probability: float = setting(
        0.0, "chance that a mention is replaced in training by another of its label"
    )
    average_last: float = setting(0.0, "last fraction of the run whose weights are averaged")
    patience: int = setting(
        0, "epochs without a better F1 on devel after which it stops, keeping the best; 0: never"
    )
    distillation: float = setting(
        0.0, "the teachers' part of the loss, from 0 to 1; the gold tags have the rest"
    )
    temperature: float = setting(
        2.0, "by which teachers' and student's logits are divided in the teachers' part"
    )
    unlabelled_ratio: float = setting(
        1.0, "unlabelled windows in each epoch, as a multiple of the labelled ones"
    )
    keep_layers: str = setting(
        "", "layers of the base model that the student starts with, such as 0,2,5; empty: all"
    )
    precision: str = setting(
        FLOAT32, "of the products in training: float32, or bfloat16 where the hardware has it"
    )
    max_wordpieces: int = setting(256, "longest input of the model, [CLS] and [SEP] counted")
    overlap: int = setting(64, "word-pieces that two pieces of a longer window share")
    seed: int = setting(1, "of the new head, of dropout and of the order of batches")

    def __post_init__(self) -> None:
        for name in (
            "warmup",
            "dropout",
            "label_smoothing",
            "join_probability",
            "unknown_probability",
            "replace_probability",
            "average_last",
        ):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"{name} {getattr(self, name)} must be at least 0 and less than 1")
        for name in (
            "epochs",
            "learning_rate",
            "batch_wordpieces",
            "layer_decay",
            "max_gradient_norm",
            "temperature",
            "unlabelled_ratio",
        ):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} {getattr(self, name)} must be greater than 0")
        if not 0.0 <= self.distillation <= 1.0:
            raise InputError(f"distillation {self.distillation} must be from 0 to 1")
        if self.distillation and self.label_all_pieces:
            raise InputError(
                "distillation learns from first word-pieces, which are what teachers are right on: "
                "leave out label_all_pieces"
            )
        if list(self.layers) != sorted(set(self.layers)):
            raise InputError(f"keep_layers {self.keep_layers} must rise, from 0 on")
        if self.patience < 0:
            raise InputError(f"patience {self.patience} must be at least 0")
        if self.patience and self.average_last:
            raise InputError(
                "patience keeps the weights of one epoch, average_last takes those of many: "
                "leave out one of the two"
            )
        if self.precision not in (FLOAT32, BFLOAT16):
            raise InputError(f"precision {self.precision!r} must be {FLOAT32} or {BFLOAT16}")
        if self.decay not in ("linear", "cosine"):
            raise InputError(f"decay {self.decay!r} must be linear or cosine")
        if not 0 <= self.overlap < self.max_wordpieces - 2:
            raise InputError(
                f"overlap {self.overlap} must be at least 0 and less than max_wordpieces - 2"
            )

    @property
    def layers(self) -> tuple[int, ...]:
        """`keep_layers` as numbers.

        Raises:
            InputError: something in it is not a number from 0 on.
        """
        try:
            numbers = tuple(int(number) for number in self.keep_layers.split(",") if number)
        except ValueError:
            numbers = (-1,)
        if min(numbers, default=0) < 0:
            raise InputError(f"keep_layers {self.keep_layers!r} must be numbers such as 0,2,5")
        return numbers
