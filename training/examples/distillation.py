"""The loss of a student: the loss on gold tags plus the loss on its teachers' probabilities.

Owns the sum; `partial_labels.py` owns the loss on gold tags. Knows nothing of teachers: their
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
    """The examples' targets as `(examples, width, tags)`, or None where no example has any.

    The targets of an example begin after [CLS]; all other positions are 0.
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
    """The weighted loss on gold tags and on teachers' probabilities, summed over positions.

    The recipe's `distillation` is the weight of the teachers' loss, and the gold tags' loss has the
    rest. A position without a gold tag has the teachers' loss with weight 1. The teachers' loss is
    temperature² · KL(targets || softmax(logits / temperature)). The factor temperature² keeps the
    gradient equally long at any temperature. Without targets the gold tags' loss has weight 1.

    Args:
        logits: as in `summed_loss`.
        tags: as in `summed_loss`.
        hidden: as in `summed_loss`.
        targets: `(examples, positions, tags)` probabilities at the recipe's temperature, 0 where
            teachers do not decide; None: there are no teachers.
        recipe: gives `distillation`, `temperature` and `label_smoothing`.
    """
    gold = summed_loss(logits, tags, hidden, recipe.label_smoothing)
    if targets is None:
        return gold
    share, temperature = recipe.distillation, recipe.temperature
    student = log_softmax(logits / temperature, dim=-1)
    divergence = kl_div(student, targets, reduction="none").sum(dim=-1)
    weight = torch.where(tags == NO_LABEL, 1.0, share)
    return (1 - share) * gold + temperature**2 * (weight * divergence).sum()
