"""What an error is called, without its message."""

from __future__ import annotations

import re

from pyspark.errors import PySparkException

# The name of an error of Spark's that comes inside one of Java's.
_CONDITION = re.compile(r"Exception: \[([A-Z][A-Z0-9_.]+)\]")


def error_class(error: Exception) -> str:
    """Spark's or Java's name of an error, which holds no values, unlike its message."""
    if isinstance(error, PySparkException):
        # Spark 4 renamed it.
        name = getattr(error, "getCondition", error.getErrorClass)()
        if name:
            return str(name)
    if found := _CONDITION.search(str(error)):
        return found[1]
    thrown = getattr(error, "java_exception", None)
    return type(error).__name__ if thrown is None else str(thrown.getClass().getSimpleName())
