"""What the processes of a job hold in memory, from /proc, without anything installed (Linux)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20


def resident_sizes(session: int) -> Mapping[str, int]:
    """MiB in memory of the largest process of each kind in a session of processes.

    Args:
        session: the number of the process that began it (`start_new_session`).

    Returns:
        sizes of `JVM`, `driver` (the Python of a job) and `worker`, as far as there are any.
    """
    sizes: dict[str, int] = {}
    for place in Path("/proc").iterdir():
        try:
            fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
            if not place.name.isdigit() or int(fields[3]) != session:
                continue
            command = (place / "cmdline").read_bytes()
            size = int((place / "statm").read_bytes().split()[1]) * _PAGE // _MIB
        except (OSError, IndexError):  # it has ended meanwhile, or is none
            continue
        is_worker = b"pyspark.daemon" in command
        kind = "worker" if is_worker else "JVM" if b"java" in command else "driver"
        sizes[kind] = max(sizes.get(kind, 0), size)
    return sizes
