"""How much memory the processes of a job use, read from /proc without extra packages (Linux)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20


def resident_sizes(session: int) -> Mapping[str, int]:
    """Resident MiB of the largest process of each kind in a session of processes.

    Args:
        session: the number of the process that started the session (`start_new_session`).

    Returns:
        sizes of `JVM`, `driver` (the Python of a job) and `worker`; a kind without a process is
        missing.
    """
    sizes: dict[str, int] = {}
    for place in Path("/proc").iterdir():
        try:
            fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
            if not place.name.isdigit() or int(fields[3]) != session:
                continue
            command = (place / "cmdline").read_bytes()
            size = int((place / "statm").read_bytes().split()[1]) * _PAGE // _MIB
        except (OSError, IndexError):  # the process has ended meanwhile, or it is not a process
            continue
        is_worker = b"pyspark.daemon" in command
        kind = "worker" if is_worker else "JVM" if b"java" in command else "driver"
        sizes[kind] = max(sizes.get(kind, 0), size)
    return sizes
