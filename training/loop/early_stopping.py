"""When a training has stopped getting better, and which epoch was the best.

Knows epochs and one score for each. The caller decides what is scored and which weights are kept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class EarlyStopping:
    """The best epoch so far, counted from 0; with `patience` 0 it never stops and keeps no best."""

    patience: int
    best_score: float | None = None
    best_epoch: int | None = None
    last_epoch: int = -1

    def hear(self, epoch: int, score: float | None) -> bool:
        """Takes the score of an epoch and returns whether it is the best so far.

        Of equal scores, the first is the best.

        Raises:
            ValueError: there is patience and no score, so nothing can be judged.
        """
        self.last_epoch = epoch
        if not self.patience:
            return False
        if score is None:
            raise ValueError("early stopping needs a score for each epoch")
        if self.best_score is not None and score <= self.best_score:
            return False
        self.best_score, self.best_epoch = score, epoch
        return True

    @property
    def is_over(self) -> bool:
        """Whether the last `patience` epochs brought nothing better."""
        if not self.patience or self.best_epoch is None:
            return False
        return self.last_epoch - self.best_epoch >= self.patience

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `EarlyStopping(**values)` reads them."""
        return asdict(self)
