"""Caches rows that are used more than once, so that nothing is computed or read twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import StorageLevel
from pyspark.sql import DataFrame


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """Caches rows while the context lasts: in memory, and on disk what does not fit.

    Spark encrypts what it spills (`spark.io.encryption.enabled`).
    """
    cached = rows.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield cached
    finally:
        cached.unpersist()
