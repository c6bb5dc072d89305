"""Which processes a program has started, and what they are: from `/proc`, so on Linux only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
PROC = Path("/proc")
# A moment such as "between two commits" lasts some hundred of these.
LOOK_SECONDS = 0.02
TICKS = os.sysconf("SC_CLK_TCK")


def descendants(*ancestors: int) -> list[int]:
    """The processes that these started, and those that these started, and so on."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], list(ancestors)
    while waiting:
        own = children.get(waiting.pop(), [])
        found += own
        waiting += own
    return found


def executors(*ancestors: int) -> list[int]:
    """The JVMs of executors among the descendants."""
    return [p for p in descendants(*ancestors) if b"CoarseGrainedExecutorBackend" in _command(p)]


def scoring_worker(*ancestors: int) -> Callable[[], int | None]:
    """A look for a Python worker that scores: it has torch, which only the stage that scores loads,
    and has been at work since it was first looked at.
    """
    before: dict[int, float] = {}

    def look() -> int | None:
        for process in descendants(*ancestors):
            if b"pyspark.daemon" in _command(process) and _has_torch(process):
                spent = _cpu_seconds(process)
                if spent > before.setdefault(process, spent) + 0.3:
                    return process
        return None

    return look


def parent(process: int) -> int:
    return int(_stat(process)[1])


def _has_torch(process: int) -> bool:
    return b"libtorch_cpu" in _content(process, "maps")


def _cpu_seconds(process: int) -> float:
    fields = _stat(process)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def _command(process: int) -> bytes:
    return _content(process, "cmdline")


def _stat(process: int) -> list[bytes]:
    """The fields of a process from its state on: the name before them may hold blanks."""
    return _content(process, "stat").rpartition(b")")[2].split()


def _content(process: int, name: str) -> bytes:
    try:
        return (PROC / str(process) / name).read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def wait_for(
    look: Callable[[], Found], what: str, goes_on: Callable[[], bool], seconds: float = 300
) -> Found:
    """Looks until there is something.

    Raises:
        AssertionError: it did not come before the time was over or the program had ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert goes_on(), f"the job ended before {what}"
        assert time.monotonic() < deadline, f"no {what} in {seconds} s"
        time.sleep(LOOK_SECONDS)
