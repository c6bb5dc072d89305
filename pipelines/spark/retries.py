"""Runs writes again that conflicted with another writer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)

from udfs.errors import RootBusyError

Result = TypeVar("Result")

# A conflict resolves itself when the other writer has committed; five tries span about 30 s.
TRIES = 5
# In Python these share no base class, unlike in Scala.
CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)


def with_retries(write: Callable[[], Result]) -> Result:
    """Runs a write, and runs it again after a conflict with another writer.

    Raises:
        RootBusyError: every try ended in a conflict.
    """
    for attempt in range(TRIES):
        try:
            return write()
        except CONFLICTS as error:
            if attempt == TRIES - 1:
                raise RootBusyError(
                    f"another run commits to the same tables ({type(error).__name__}, "
                    f"{TRIES} tries): let it end and run again"
                ) from None
            time.sleep(2**attempt * (0.5 + random.random()))
    raise AssertionError("unreachable: the last try returns or raises")
