"""Every setting of a masked-language-model training, with its meaning and its limits.

Imports no torch, so that wrong settings are refused at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.recipes.recipe import FLOAT32, Recipe, setting
from udfs.errors import InputError
from udfs.package.model_families import FAMILIES


@dataclass(frozen=True)
class AdaptationSettings:
    """The settings, which become flags of the command line.

    `schedule` makes a recipe of them, and so checks the settings that a recipe has too.
    """

    epochs: int = setting(1, "passes over the text")
    learning_rate: float = setting(1e-4, "peak learning rate")
    batch_wordpieces: int = setting(4096, "word-pieces in one batch, padding counted")
    max_wordpieces: int = setting(256, "longest input of the model, [CLS] and [SEP] counted")
    hidden_share: float = setting(0.15, "of the words that the model has to guess")
    warmup: float = setting(0.06, "fraction of the run in which the learning rate rises")
    weight_decay: float = setting(0.01, "of AdamW")
    seed: int = setting(1, "of a new head, of the order and of what is hidden")
    precision: str = setting(FLOAT32, "of the products in training: float32 or bfloat16")

    def __post_init__(self) -> None:
        if not 0.0 < self.hidden_share < 1.0:
            raise InputError(f"hidden_share {self.hidden_share} must be between 0 and 1")
        self.schedule()

    def schedule(self) -> Recipe:
        """The recipe with the same schedule of the learning rate."""
        return Recipe(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_wordpieces=self.batch_wordpieces,
            max_wordpieces=self.max_wordpieces,
            overlap=0,
            warmup=self.warmup,
            precision=self.precision,
        )


@dataclass(frozen=True)
class NewEncoder:
    """The shape of an encoder that starts from random weights; its fields become flags."""

    family: str
    layers: int = setting(4, "layers (in ALBERT one layer, so many times)")
    hidden_size: int = setting(256, "width of the layers")
    heads: int = setting(4, "heads of attention")
    embedding_size: int = setting(128, "width of the embeddings where they have their own")

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"family {self.family!r} must be one of {', '.join(sorted(FAMILIES))}")
        for name in ("layers", "hidden_size", "heads", "embedding_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} must be at least 1")
        if self.hidden_size % self.heads:
            raise InputError(
                f"hidden_size {self.hidden_size} must be a multiple of heads {self.heads}"
            )
