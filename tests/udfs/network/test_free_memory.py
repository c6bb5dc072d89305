"""What is free inside the process leaves it: seen from outside, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from udfs.network import free_memory

# Blocks that come from the heap; every second one stays, so that no hole reaches the heap's end.
_FILLS_A_HEAP = """
import os
from pathlib import Path
from udfs.network.free_memory import give_back_free_memory

def resident_mib():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20

blocks = [bytearray(b"x" * 65_536) for _ in range(3_200)]
full = resident_mib()
blocks = blocks[::2]
holes = resident_mib()
give_back_free_memory()
print(full, holes, resident_mib())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can do it")
def test_holes_in_the_heap_go_back_to_the_system() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _FILLS_A_HEAP], capture_output=True, text=True, check=True
    )
    full, holes, after = map(int, found.stdout.split())
    assert full >= 200
    assert holes > full - 20, "freeing alone would do"
    assert after < full - 70


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Musl:
        def __init__(self, name: None) -> None:
            pass

    free_memory._trim.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", Musl)
    free_memory.give_back_free_memory()
    assert free_memory._trim() is None
    free_memory._trim.cache_clear()
