"""What a run reports while it works."""

from __future__ import annotations


class Progress:
    """Receives a run's reports; the command line shows them, a test may ignore them."""

    def step(self, words: str) -> None:
        """Reports that a new step begins."""

    def scored(self, characters: int, total: int) -> None:
        """Reports how many of `total` characters of new, distinct windows are scored and stored."""
