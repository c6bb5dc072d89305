"""Ends a worker that hangs: a model that hangs must cost minutes, not the night.

Owns one timer for this process, which is restarted before every unit of work (a forward pass). When
it runs out, the process writes where each of its threads stands (frames, no values) to stderr and
exits. Spark then tries the task again. The module does not know what the work is.
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
    """In this context, the process ends if `beat` is not called for `seconds`."""
    _Timer.seconds = seconds
    beat()
    try:
        yield
    finally:
        _Timer.seconds = None
        faulthandler.cancel_dump_traceback_later()


def beat() -> None:
    """Restarts the timer, if one is running."""
    if _Timer.seconds is not None:
        faulthandler.dump_traceback_later(_Timer.seconds, exit=True)


@dataclass(frozen=True, slots=True)
class WatchedClassifier:
    """A classifier whose process ends if one of its steps takes longer than `seconds`.

    The time between two calls of `predict` does not count: Spark is at work then, and may be slow.
    """

    classifier: Classifier
    seconds: float

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """See `udfs.classifiers.token_classifier.TokenClassifier.predict`."""
        with watching(self.seconds):
            return self.classifier.predict(texts)
