"""The learning rate over the steps of a training."""

from __future__ import annotations

import math

from training.recipes.recipe import Recipe


def schedule_factor(done: float, recipe: Recipe) -> float:
    """The factor on the peak learning rate after the fraction `done` of the run."""
    if done < recipe.warmup:
        return max(done, 1e-3) / recipe.warmup
    left = (1 - done) / (1 - recipe.warmup)
    return left if recipe.decay == "linear" else 0.5 * (1 - math.cos(math.pi * left))
