"""Work of the driver that goes on at the same time."""

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
    """Runs each in a thread of its own; what they return, when all have ended.

    Job groups and other local properties of the caller hold in the threads.

    Raises:
        Exception: that of the first in the order given that failed; the others have ended, too.
    """
    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(_inheriting(work)) for work in works]
    return [work.result() for work in begun]


def overlapping(works: Iterable[Callable[[], Result]], at_once: int) -> Iterator[Result]:
    """Runs works in threads, so many at once; yields what they return, in their order.

    A work is asked for when there is room for it, so the next may depend on results before it. Job
    groups and other local properties of the caller hold in the threads.

    Raises:
        Exception: that of the first in the order given that failed; what was begun has ended, too,
            and nothing further is begun.
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
    if is_remote():  # there, a thread of ours has no thread of the JVM with properties
        return work
    inheriting: Callable[[], Result] = inheritable_thread_target(work)
    return inheriting


def in_background(work: Callable[[], object]) -> None:
    """Begins what only saves time: nobody waits for it, and nobody hears if it fails."""

    def quiet() -> None:
        with suppress(Exception):
            work()

    threading.Thread(target=quiet, daemon=True).start()
