"""Gives memory that is free inside this process back to the system.

The activations of a forward pass differ in size from batch to batch, so the C library's heap fills
with holes that are too small for the next batch. A process that holds 320 MiB grew to 1.3 GiB over
80,000 windows. Knows nothing of models or batches.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back_free_memory() -> None:
    """Gives whole free pages of the heap back; this takes about 25 ms for 400 MiB.

    Only the GNU C library can do it; with any other this does nothing.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], object] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return None
