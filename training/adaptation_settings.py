"""Every setting of a masked-language-model training, with its meaning and its limits.

Imports no torch, so that wrong settings are refused at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.recipe import FLOAT32, Recipe, setting
from udfs.errors import InputError


@dataclass(frozen=True)
class AdaptationSettings:
    """The command line is made from these; the limits that a recipe has too are the recipe's."""

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
