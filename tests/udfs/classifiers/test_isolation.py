"""A model that dies, hangs or raises on single windows, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest

from tests.support.moody_model import Moody
from udfs.classifiers.isolation import MOST_FAILURES, IsolatedClassifier
from udfs.errors import ModelPackageError, PredictionError
from udfs.spans import WindowFailure, WindowPrediction

pytestmark = pytest.mark.heavy


def test_only_the_windows_at_fault_fail_and_each_with_its_reason() -> None:
    texts = [f"window {i}" for i in range(100)]
    moods = {3: "kill", 70: "raise", 71: "hang", 99: "kill"}
    for at, mood in moods.items():
        texts[at] = f"please {mood}"
    with IsolatedClassifier(Moody, seconds=1.5) as classifier:
        results = classifier.predict(texts)
    failures = {i: r.reason for i, r in enumerate(results) if isinstance(r, WindowFailure)}
    assert failures == {3: "died", 70: "ValueError", 71: "hung", 99: "died"}
    assert all(r.wordpieces == 2 for r in results if isinstance(r, WindowPrediction))
    assert len(results) == 100


def test_a_model_that_fails_everywhere_is_not_blamed_on_windows() -> None:
    with (
        IsolatedClassifier(Moody, seconds=20) as classifier,
        pytest.raises(PredictionError, match=f"more than {MOST_FAILURES} windows") as caught,
    ):
        classifier.predict(["raise this secret"] * (MOST_FAILURES + 10))
    assert "secret" not in str(caught.value)


def load_nothing() -> Moody:
    raise ModelPackageError("weights are missing")


# Standard functions and this module: a child imports what it is to call by name.
@pytest.mark.parametrize(
    ("load", "why"), [(partial(os._exit, 1), "died"), (load_nothing, "weights are missing")]
)
def test_a_model_that_cannot_be_loaded_is_an_error(load, why: str) -> None:
    with (
        IsolatedClassifier(load, seconds=20) as classifier,
        pytest.raises(PredictionError, match=why),
    ):
        classifier.predict(["a window"])


@pytest.mark.parametrize(("beats", "code"), [(0, 1), (8, 0)])
def test_the_watchdog_ends_a_process_that_does_not_come_back(beats: int, code: int) -> None:
    program = (
        "import time; from udfs.classifiers import watchdog\n"
        "with watchdog.watching(1.5):\n"
        f"    for _ in range({beats}): time.sleep(0.3); watchdog.beat()\n"
        f"    time.sleep({0 if beats else 60})\n"
        "time.sleep(2)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
