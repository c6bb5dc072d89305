"""kill -9 of each kind of process of a run, at the moments where it could hurt, on a cluster.

A rerun after the driver was killed needs no cluster: it runs in the session of the tests.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.process_tree import PROC, executors, parent, scoring_worker, wait_for
from tests.faults.table_picture import version

pytestmark = [pytest.mark.faults, pytest.mark.model]


@dataclass(frozen=True)
class Scene:
    """The cluster, the notes of these tests, and the moments that a run goes through."""

    laboratory: Any
    workers: tuple[int, ...]
    on_cluster: Callable
    many: Any

    def start(self, root: Path) -> Any:
        return self.on_cluster(f"{root.name}-run", self.many.notes, root)

    def kill_driver(self, started: Any) -> int:
        return self.laboratory.kill(started)

    def wait_for_commit(self, started: Any, root: Path, table: str, number: int) -> None:
        self.laboratory.wait_until(
            started, lambda: version(root, table) >= number, f"commit {number} of {table}"
        )

    def wait_for_scoring(self, started: Any) -> int:
        """A Python worker that is scoring."""
        look = scoring_worker(*self.workers)
        return self.laboratory.wait_until(started, look, "a worker that scores")

    def start_second_slice(self, root: Path) -> tuple[Any, int]:
        """A run whose first slice is stored; and a Python worker that scores the second one."""
        started = self.start(root)
        self.wait_for_commit(started, root, "predictions", 1)
        worker = self.wait_for_scoring(started)
        assert version(root, "predictions") == 1
        return started, worker

    def expect_done(self, started: Any, root: Path, fault: Any) -> str:
        """Waits for a run; fails unless it ended well. Returns what it printed."""
        code, printed = self.laboratory.wait(started)
        fault.codes.append(code)
        assert code == 0, printed[-3000:]
        fault.result = self.laboratory.expect_right(root, self.many)
        return printed

    def rerun(self, root: Path, fault: Any, stored: int) -> None:
        """Runs again, to the end; what was stored must not have been scored once more."""
        fault.codes.append(self.laboratory.in_process(self.many.notes, root))
        assert fault.codes == [-signal.SIGKILL, 0]
        right = self.laboratory.expect_right(root, self.many)
        scored = self.laboratory.last_run(root).scored_windows
        assert scored == self.many.scored_windows - stored
        fault.result = f"{stored} stored windows not scored again; {right}"


@pytest.fixture(scope="module")
def scene(laboratory, cluster, on_cluster: Callable, many) -> Scene:
    if not PROC.is_dir():
        pytest.skip("which process is which is read from /proc")
    return Scene(laboratory, cluster.workers, on_cluster, many)


def test_python_worker(scene: Scene, laboratory, fault) -> None:
    """kill -9 of a Python worker that scores; the run goes on by itself"""
    root = laboratory.workplace / "worker-killed"
    started, worker = scene.start_second_slice(root)
    os.kill(worker, signal.SIGKILL)
    printed = scene.expect_done(started, root, fault)
    assert "Python worker exited unexpectedly" in printed


def test_executor(scene: Scene, laboratory, fault) -> None:
    """kill -9 of an executor's JVM whose worker scores; the run goes on by itself"""
    root = laboratory.workplace / "executor-killed"
    started, worker = scene.start_second_slice(root)
    jvm = parent(parent(worker))  # between them is the process that forks workers
    assert jvm in executors(*scene.workers)
    os.kill(jvm, signal.SIGKILL)
    printed = scene.expect_done(started, root, fault)
    assert "Lost executor" in printed


def test_driver_before_the_first_predictions(scene: Scene, laboratory, fault) -> None:
    """kill -9 of the driver before any prediction is stored, then a rerun"""
    root = laboratory.workplace / "killed-early"
    started = scene.start(root)
    scene.wait_for_scoring(started)
    fault.codes.append(scene.kill_driver(started))
    assert version(root, "predictions") == version(root, "processed_notes") == 0
    scene.rerun(root, fault, stored=0)


@dataclass(frozen=True)
class Left:
    """What a killed run left: the root, the driver's exit code, the windows that are stored."""

    root: Path
    code: int
    stored: int


@pytest.fixture(scope="module")
def half_scored(scene: Scene, laboratory) -> Left:
    """The root of a run that was killed while it scored its second slice."""
    root = laboratory.workplace / "half-scored"
    started, _ = scene.start_second_slice(root)
    code = scene.kill_driver(started)
    assert version(root, "note_windows") == version(root, "processed_notes") == 0
    # They end by themselves some seconds after their driver.
    wait_for(lambda: not executors(*scene.workers), "end of the executors", lambda: True)
    stored = laboratory.stored_windows(root)
    assert 0 < stored < scene.many.scored_windows
    return Left(root, code, stored)


def test_driver_after_a_slice(scene: Scene, laboratory, half_scored: Left, fault) -> None:
    """kill -9 of the driver while it scores its second slice, then a rerun"""
    root = laboratory.copy(half_scored.root, "killed-after-a-slice")
    fault.codes.append(half_scored.code)
    scene.rerun(root, fault, half_scored.stored)


def test_driver_before_the_ledger(scene: Scene, laboratory, half_scored: Left, fault) -> None:
    """kill -9 of the driver between the commit of entities and that of the ledger, then a rerun"""
    root = laboratory.copy(half_scored.root, "killed-before-ledger")
    started = scene.start(root)
    scene.wait_for_commit(started, root, "entities", 1)
    fault.codes.append(scene.kill_driver(started))
    assert version(root, "processed_notes") == 0
    # Until the rerun the tables contradict each other, and verify_tables says so.
    assert laboratory.verify(scene.many.notes, root) == 5
    scene.rerun(root, fault, stored=scene.many.scored_windows)


def test_driver_in_the_merge(scene: Scene, laboratory, half_scored: Left, fault) -> None:
    """kill -9 of the driver while the MERGE of entities writes its files, then a rerun"""
    root = laboratory.copy(half_scored.root, "killed-in-merge")
    started = scene.start(root)
    files = root / "entities"
    laboratory.wait_until(started, lambda: [*files.glob("*.parquet")], "files of the MERGE")
    fault.codes.append(scene.kill_driver(started))
    assert version(root, "entities") == version(root, "processed_notes") == 0
    assert version(root, "note_windows") == 1
    scene.rerun(root, fault, stored=scene.many.scored_windows)
