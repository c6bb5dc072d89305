"""Finds the windows that kill or hang the model, and lets all others pass.

Owns a child process that holds the model and gets the windows in small chunks. If the child dies,
raises or exceeds its time on a chunk, the chunk is halved until only the window that causes it is
left. The parent holds no model, so it survives whatever happens to the child. This costs speed, so
only a repeated attempt of a task works like this. It knows nothing of Spark, models or notes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from udfs.classifiers.watchdog import watching
from udfs.errors import ClinspanError, PredictionError
from udfs.spans import Classifier, WindowFailure, WindowPrediction

CHUNK_WINDOWS = 64
# If more windows than this fail in one task, the model or the machine is broken, not the windows.
MOST_FAILURES = 20
# The time limit of a chunk grows with its characters at this rate. The slowest engine measured
# reads 4,000 characters a second.
CHARACTERS_PER_SECOND = 500
LOADING_SECONDS = 600
# A child that hangs after its parent was killed ends itself this long after the time limit at which
# the parent would have ended it.
GRACE_SECONDS = 60
READY = "ready"


class IsolatedClassifier:
    """A classifier in a child process of its own; a context manager.

    Args:
        load: makes the classifier in the child, where it is imported by name.
        seconds: how long a chunk may take, besides the time that its length allows.
    """

    def __init__(self, load: Callable[[], Classifier], seconds: float) -> None:
        self._load = load
        self._seconds = seconds
        self._child: Any = None
        self._pipe: Connection | None = None
        self._failures = 0

    def __enter__(self) -> IsolatedClassifier:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction | WindowFailure]:
        """One prediction or failure for each window text, in order.

        Raises:
            PredictionError: the model cannot be loaded, or so many windows fail that the cause
                must be the model or the machine.
        """
        results: list[WindowPrediction | WindowFailure] = []
        for begin in range(0, len(texts), CHUNK_WINDOWS):
            results += self._bisect(texts[begin : begin + CHUNK_WINDOWS])
        return results

    def _bisect(self, texts: Sequence[str]) -> list[WindowPrediction | WindowFailure]:
        answer = self._try(texts)
        if not isinstance(answer, WindowFailure):
            return [*answer]
        if len(texts) == 1:
            self._failures += 1
            if self._failures > MOST_FAILURES:
                raise PredictionError(
                    f"the model failed ({answer.reason}) on more than {MOST_FAILURES} windows of "
                    "one task, each alone: the cause is the model or the machine (memory?), not "
                    "single notes; mend that and run again"
                )
            return [answer]
        middle = len(texts) // 2
        return self._bisect(texts[:middle]) + self._bisect(texts[middle:])

    def _try(self, texts: Sequence[str]) -> list[WindowPrediction] | WindowFailure:
        pipe = self._pipe or self._start()
        limit = self._seconds + sum(map(len, texts)) / CHARACTERS_PER_SECOND
        try:
            pipe.send((list(texts), limit + GRACE_SECONDS))
            if not pipe.poll(limit):
                self._stop()
                return WindowFailure("hung")
            answer: list[WindowPrediction] | WindowFailure = pipe.recv()
        except (EOFError, OSError):
            self._stop()
            return WindowFailure("died")
        return answer

    def _start(self) -> Connection:
        # A new process, not a fork: neither CUDA nor a pool of threads survives a fork, and an
        # earlier task may have left a model in this process.
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._child = context.Process(target=_serve, args=(self._load, far_end), daemon=True)
        self._child.start()
        far_end.close()  # else nobody would notice that the child died
        try:
            # If loading fails, no window is the cause.
            said = self._pipe.recv() if self._pipe.poll(LOADING_SECONDS) else "it took too long"
        except (EOFError, OSError):
            said = "its process died"
        if said != READY:
            self._stop()
            raise PredictionError(f"the model cannot be loaded in a process of its own: {said}")
        return self._pipe

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
        if self._pipe is not None:
            self._pipe.close()
        self._child = self._pipe = None


def _serve(load: Callable[[], Classifier], pipe: Connection) -> None:
    try:
        classifier = load()
    except ClinspanError as error:
        pipe.send(str(error))
        return
    pipe.send(READY)
    while True:
        try:
            texts, seconds = pipe.recv()
        except EOFError:
            return
        try:
            with watching(seconds):
                answer: object = classifier.predict(texts)
        except Exception as error:
            answer = WindowFailure(type(error).__name__)
        pipe.send(answer)
