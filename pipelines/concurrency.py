"""Work of the driver that goes on at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote


def side_by_side(spark: SparkSession, *works: Callable[[], None]) -> None:
    """Runs each in a thread of its own and returns when all have ended.

    Job groups and other local properties of the caller hold in the threads.

    Raises:
        Exception: that of the first in the order given that failed; the others have ended, too.
    """
    # Over Spark Connect the properties are the session's, else those of the caller's JVM thread.
    inheriting = inheritable_thread_target(spark) if is_remote() else inheritable_thread_target
    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(inheriting(work)) for work in works]
    for work in begun:
        work.result()
