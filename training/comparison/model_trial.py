"""One model tried in its own process on one thread: what it finds, its speed and its memory.

Owns the process and what is measured in it. Each model has a process of its own, so that its peak
memory includes no other model. This module imports little, since imports count in that peak. Knows
nothing of gold and scores.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from training.corpora.form_table import read_corpus
from udfs.annotation.entity_merging import merge_mentions
from udfs.annotation.note_annotation import score_windows
from udfs.errors import PredictionError
from udfs.spans import Classifier, Span

# A process is slower at first: it reads pages of the weights, fills caches and chooses kernels.
WARM_UP_DOCUMENTS = 20
_MIB = 2**20
# Libraries read these when they start. Without them a model that takes more threads would look
# faster than it is.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Trial:
    """What a model found in each document, and the time and memory that it took.

    `seconds` is the time of the fastest pass over all documents with a warm model. `peak_mib` is
    the largest resident size of the whole process, Python and libraries included. `units` counts
    word-pieces, or tokens of a model that has no word-pieces.
    """

    spans: list[list[Span]]
    characters: int
    units: int
    seconds: float
    load_seconds: float
    parameters: int
    peak_mib: float

    @property
    def documents_per_second(self) -> float:
        """Documents a second, scored one after the other."""
        return len(self.spans) / self.seconds

    @property
    def characters_per_second(self) -> float:
        """Characters a second; unlike units, they compare models of different kinds."""
        return self.characters / self.seconds

    @property
    def units_per_second(self) -> float:
        """Word-pieces or tokens a second, in the model's own units."""
        return self.units / self.seconds


def try_apart(folder: Path, corpus: str, part: str, passes: int = 1) -> Trial:
    """Runs `try_model` in a new process, on one thread.

    Raises:
        InputError: as `try_model` raises it.
        PredictionError: the process dies.
    """
    # Spawned and not forked: a fork would start with the memory of this process.
    with (
        _environment(_ONE_THREAD),
        ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool,
    ):
        try:
            return pool.submit(try_model, folder, corpus, part, passes).result()
        except BrokenProcessPool:
            raise PredictionError(
                f"the process of the model {folder} died: memory may be short; try the model alone"
            ) from None


def try_model(folder: Path, corpus: str, part: str, passes: int = 1) -> Trial:
    """Loads a package and finds the entities of each document through the production path.

    Raises:
        InputError: the package or the corpus cannot be used.
    """
    from udfs.classifiers.model_loading import load_classifier

    texts = [document.text for document in read_corpus(corpus, [part])]
    began = time.perf_counter()
    classifier = load_classifier(folder, device="cpu", threads=1)
    loaded = time.perf_counter() - began
    for text in texts[:WARM_UP_DOCUMENTS]:
        score_windows(text, classifier)
    fastest = float("inf")
    for _ in range(passes):
        began = time.perf_counter()
        spans, units = _find_all(texts, classifier)
        fastest = min(fastest, time.perf_counter() - began)
    return Trial(
        spans=spans,
        characters=sum(map(len, texts)),
        units=units,
        seconds=fastest,
        load_seconds=loaded,
        parameters=classifier.parameters,
        peak_mib=_peak_mib(),
    )


def _find_all(texts: list[str], classifier: Classifier) -> tuple[list[list[Span]], int]:
    spans, units = [], 0
    for text in texts:
        windows = score_windows(text, classifier)
        units += sum(window.wordpieces for window in windows)
        spans.append(merge_mentions(text, windows))
    return spans, units


def _peak_mib() -> float:
    """The peak memory of this process alone.

    On Linux it is read from /proc, since getrusage there starts from the size of the parent.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except (OSError, ValueError):
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
