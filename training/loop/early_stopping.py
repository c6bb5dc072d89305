"""When a training has stopped getting better, and which epoch was the best.

Knows epochs and one score for each; whose score it is, and what is kept, is the caller's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class EarlyStopping:
    """Best epoch (from 0) so far; `patience` 0 never stops and keeps no best."""

    patience: int
    best_score: float | None = None
    best_epoch: int | None = None
    last_epoch: int = -1

    def hear(self, epoch: int, score: float | None) -> bool:
        """Takes the score of an epoch; whether it is the best so far. Of equals the first is.

        Raises ValueError where there is patience and no score: nothing can be judged.
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
