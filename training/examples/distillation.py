"""The loss of a student: gold tags and what its teachers hold probable, side by side.

Owns the sum; the gold tags' own loss is `partial_labels.py`'s. Knows nothing of teachers: their
probabilities come with the examples (`soft_targets.py`). Source: Hinton, Vinyals and Dean 2015,
arXiv:1503.02531.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from training.examples.examples import NO_LABEL, Example
from training.examples.partial_labels import summed_loss
from training.recipes.recipe import Recipe


def target_matrix(batch: Sequence[Example], width: int, tags: int) -> Tensor | None:
    """`(examples, width, tags)`: the examples' targets behind [CLS], nothing elsewhere. None: no
    example has any.
    """
    if all(example.targets is None for example in batch):
        return None
    targets = torch.zeros((len(batch), width, tags))
    for row, example in enumerate(batch):
        if example.targets is not None:
            targets[row, 1 : len(example.ids) + 1] = torch.from_numpy(example.targets)
    return targets


def student_loss(
    logits: Tensor,
    tags: Tensor,
    hidden: Tensor | None,
    targets: Tensor | None,
    recipe: Recipe,
) -> Tensor:
    """The sum over positions of what the recipe's `distillation` leaves of the gold tag's loss, and
    of as much of the teachers'; where there is no gold tag the teachers' counts whole.

    The teachers' is temperature² · KL(targets || softmax(logits / temperature)): times the square,
    so that its gradient is as long at any temperature.

    Args:
        logits, tags, hidden: as of `summed_loss`.
        targets: `(examples, positions, tags)` probabilities at the recipe's temperature, nothing
            where teachers do not decide; None: there are no teachers.
    """
    gold = summed_loss(logits, tags, hidden, recipe.label_smoothing)
    if targets is None:
        return gold
    share, temperature = recipe.distillation, recipe.temperature
    student = log_softmax(logits / temperature, dim=-1)
    divergence = kl_div(student, targets, reduction="none").sum(dim=-1)
    weight = torch.where(tags == NO_LABEL, 1.0, share)
    return (1 - share) * gold + temperature**2 * (weight * divergence).sum()
