"""The name of an error, without its message."""

from __future__ import annotations

import re

from pyspark.errors import PySparkException

# The name of a Spark error inside the message of a Java error.
_CONDITION = re.compile(r"Exception: \[([A-Z][A-Z0-9_.]+)\]")


def error_class(error: Exception) -> str:
    """Spark's or Java's name of an error; unlike the message, it holds no values."""
    if isinstance(error, PySparkException):
        # Spark 4 renamed this method.
        name = getattr(error, "getCondition", error.getErrorClass)()
        if name:
            return str(name)
    if found := _CONDITION.search(str(error)):
        return found[1]
    thrown = getattr(error, "java_exception", None)
    return type(error).__name__ if thrown is None else str(thrown.getClass().getSimpleName())
