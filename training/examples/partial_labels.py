"""The loss where a corpus annotates only some of a model's labels.

Where such a corpus has no mention, there may still be one of a label that it does not annotate. Its
O means "O, or any tag of a label that I do not annotate". So the loss sums the probabilities of O
and of those tags (the marginal likelihood of what is known). All other tags are learnt as usual.
Fully annotated text takes torch's own cross entropy, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from training.examples.examples import NO_LABEL, Example

OUTSIDE = 0  # the number of the tag O, see bio_labels


def hidden_matrix(batch: Sequence[Example], tags: int) -> Tensor | None:
    """`(examples, tags)`, true where the corpus does not annotate a tag; None if true nowhere."""
    if not any(example.hidden for example in batch):
        return None
    hidden = torch.zeros((len(batch), tags), dtype=torch.bool)
    for row, example in enumerate(batch):
        hidden[row, list(example.hidden)] = True
    return hidden


def summed_loss(
    logits: Tensor, tags: Tensor, hidden: Tensor | None, label_smoothing: float = 0.0
) -> Tensor:
    """The sum of the negative log likelihoods of all positions that have a tag.

    Args:
        logits: `(examples, positions, tags)`.
        tags: `(examples, positions)`, NO_LABEL where nothing is learnt.
        hidden: what `hidden_matrix` returns.
        label_smoothing: probability taken from the right tag and spread over all tags that the
            corpus tells apart; O and the hidden tags count as one.
    """
    if hidden is None:
        return cross_entropy(
            logits.flatten(0, 1),
            tags.flatten(),
            ignore_index=NO_LABEL,
            label_smoothing=label_smoothing,
            reduction="sum",
        )
    logs = log_softmax(logits, dim=-1)
    merged = hidden.clone()
    merged[:, OUTSIDE] = True
    merged = merged.unsqueeze(1)
    outside = logs.masked_fill(~merged, float("-inf")).logsumexp(dim=-1)
    named = logs.gather(-1, tags.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    losses = -torch.where(tags == OUTSIDE, outside, named)
    if label_smoothing:
        told_apart = (~merged).sum(dim=-1) + 1
        spread = -(outside + logs.masked_fill(merged, 0.0).sum(dim=-1)) / told_apart
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    return losses[tags != NO_LABEL].sum()
