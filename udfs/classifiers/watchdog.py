"""Ends a worker that does not come back: a model that hangs must cost minutes, not the night.

Owns one timer of this process, wound up again before every unit of work (a forward pass). When it
runs out, the process writes where each of its threads stands (frames, no values) to stderr and
exits, and Spark tries the task again. It does not know what the work is.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from udfs.spans import Classifier, WindowPrediction


class _Timer:
    seconds: float | None = None


@contextmanager
def watching(seconds: float) -> Iterator[None]:
    """While this lasts, more than `seconds` between two calls of `beat` end the process."""
    _Timer.seconds = seconds
    beat()
    try:
        yield
    finally:
        _Timer.seconds = None
        faulthandler.cancel_dump_traceback_later()


def beat() -> None:
    """Winds the timer up again, where one is going."""
    if _Timer.seconds is not None:
        faulthandler.dump_traceback_later(_Timer.seconds, exit=True)


@dataclass(frozen=True, slots=True)
class WatchedClassifier:
    """A classifier whose every step may take so many seconds.

    The time between two calls is not counted: then Spark is at work, and may be slow.
    """

    classifier: Classifier
    seconds: float

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """See `udfs.classifiers.token_classifier.TokenClassifier.predict`."""
        with watching(self.seconds):
            return self.classifier.predict(texts)
