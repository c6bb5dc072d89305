"""What a run tells while it works."""

from __future__ import annotations


class Progress:
    """What a run tells while it works; the command line shows it, a test may ignore it."""

    def step(self, words: str) -> None:
        """A new step begins."""

    def scored(self, characters: int, total: int) -> None:
        """So many characters of new, distinct window text are scored and stored."""
