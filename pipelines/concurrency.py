"""Work of the driver that goes on at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    if not is_remote():  # there, a thread of ours has no thread of the JVM with properties
        works = tuple(map(inheritable_thread_target, works))
    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(work) for work in works]
    return [work.result() for work in begun]


def in_background(work: Callable[[], object]) -> None:
    """Begins what only saves time: nobody waits for it, and nobody hears if it fails."""

    def quiet() -> None:
        with suppress(Exception):
            work()

    threading.Thread(target=quiet, daemon=True).start()
