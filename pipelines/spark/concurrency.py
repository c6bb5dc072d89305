"""Work that the driver does at the same time, in threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql.utils import is_remote

Result = TypeVar("Result")


def side_by_side(*works: Callable[[], Result]) -> list[Result]:
    """Runs each function in a thread of its own; returns their results when all have ended.

    The threads inherit job groups and other local properties of the caller.

    Raises:
        Exception: the error of the first function, in the order given, that failed; the others
            have ended, too.
    """
    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(_inheriting(work)) for work in works]
    return [work.result() for work in begun]


def overlapping(works: Iterable[Callable[[], Result]], at_once: int) -> Iterator[Result]:
    """Runs functions in threads, at most `at_once` at a time; yields their results in order.

    The next function is taken only when there is room for it, so it may depend on earlier results.
    The threads inherit job groups and other local properties of the caller.

    Raises:
        Exception: the error of the first function, in the order given, that failed; those that had
            begun have ended, too, and no further one begins.
    """
    rest, running = iter(works), deque[Future[Result]]()
    with ThreadPoolExecutor(at_once) as pool:
        while True:
            while len(running) < at_once and (work := next(rest, None)) is not None:
                running.append(pool.submit(_inheriting(work)))
            if not running:
                return
            yield running.popleft().result()


def _inheriting(work: Callable[[], Result]) -> Callable[[], Result]:
    if is_remote():  # over Spark Connect a Python thread has no JVM thread with properties
        return work
    inheriting: Callable[[], Result] = inheritable_thread_target(work)
    return inheriting


def in_background(work: Callable[[], object]) -> None:
    """Starts work that only saves time: nobody waits for it, and its errors are ignored."""

    def quiet() -> None:
        with suppress(Exception):
            work()

    threading.Thread(target=quiet, daemon=True).start()
