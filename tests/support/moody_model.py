"""A model that dies, hangs or raises on windows that say so; a child process imports it by name."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence

from pipelines.scoring.torch_engine import TorchEngine
from udfs.spans import Classifier, Span, WindowPrediction


class Moody:
    """Marks what ends with "in"; its moods are words of the windows."""

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        for text in texts:
            if "kill" in text:
                os._exit(1)
            if "hang" in text:
                time.sleep(600)
            if "raise" in text:
                raise ValueError(text)
        return [
            WindowPrediction(
                tuple(Span(m.start(), m.end(), "Drug", 0.5) for m in re.finditer(r"\w+in\b", text)),
                len(text.split()),
                0,
            )
            for text in texts
        ]


class MoodyEngine(TorchEngine):
    """The production engine, but for its model."""

    def loader(self) -> Callable[[], Classifier]:
        return Moody
