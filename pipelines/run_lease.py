"""One run at a time on one root, whatever the root is: a folder, an object store, a catalog.

The row of a run in ``runs`` is its lease: it says who works, and when he last showed to be alive. A
run that begins writes its row, then reads those of others; who sees another takes his own back and
tries again later, so that two can never both go on. A run that was killed is known by its process,
or from another machine by its silence. It does not know what runs do.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from pipelines import run_record, schemas
from pipelines.entity_table import delete_rows
from pipelines.run_record import RunRecord
from pipelines.table_root import RootBusyError, TableRoot

HEARTBEAT_SECONDS = 60.0
# A run on another machine that is silent for so long was killed.
SILENCE_SECONDS = 300.0
# Two that begin at the same moment both step back: so long they try again, however short the wait.
LEAST_TRY_SECONDS = 20.0


class Lease:
    """The right of one run to write; see ``hold_root``."""

    def __init__(self, spark: SparkSession, root: TableRoot, record: RunRecord) -> None:
        self._spark, self._root, self._record = spark, root, record
        self._alive_at = time.time()
        self._ended = threading.Event()

    def refuse_lost(self) -> None:
        """Raises ``RootBusyError`` where another run may have taken this one for dead."""
        silence = time.time() - self._alive_at
        if silence > SILENCE_SECONDS:
            raise RootBusyError(
                f"this run was silent for {silence:.0f} s, more than {SILENCE_SECONDS:.0f}: "
                "another may be at work by now. What is committed stays, run again"
            )

    def keep(self) -> None:
        """Shows that the run is alive until ``end``; the work of a thread."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            now = time.time()
            with suppress(Exception):  # the next try is near, and ``refuse_lost`` knows
                if run_record.beat(self._spark, self._root, self._record.run_id, utc(now)):
                    self._alive_at = now

    def end(self) -> None:
        """Ends ``keep``."""
        self._ended.set()


@contextmanager
def hold_root(
    spark: SparkSession, root: TableRoot, record: RunRecord, wait_seconds: float
) -> Iterator[Lease]:
    """Holds a root for one run; its row in ``runs`` says ``running`` and has to be finished.

    Args:
        spark: the session.
        root: where the tables are.
        record: of the run that begins.
        wait_seconds: how long to wait for another one.

    Raises:
        RootBusyError: another run did not end within that time.
    """
    begun = time.monotonic()
    deadline = begun + max(wait_seconds, LEAST_TRY_SECONDS)
    while True:
        lease = Lease(spark, root, record)
        run_record.begin(spark, root, replace(record, holder=_holder(), heartbeat=utc(time.time())))
        others = _others(spark, root, record.run_id)
        if not others:
            break
        own = spark.createDataFrame([(record.run_id,)], "run_id string")
        delete_rows(spark, root, schemas.RUNS, own)
        while others:
            if time.monotonic() > deadline:
                raise RootBusyError(_busy(root, others[0], time.monotonic() - begun))
            _pause()
            others = _others(spark, root, record.run_id)
    thread = threading.Thread(target=lease.keep, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.end()
        thread.join()


def _pause() -> None:
    time.sleep(random.uniform(0.5, 4))


def refuse_busy(spark: SparkSession, root: TableRoot) -> None:
    """Raises ``RootBusyError`` where a run is at work."""
    if others := _others(spark, root, ""):
        raise RootBusyError(_busy(root, others[0], 0))


def _others(spark: SparkSession, root: TableRoot, run_id: str) -> list[Row]:
    """The rows of other runs that are alive, the longest at work first."""
    rows = root.read(spark, schemas.RUNS).where(F.col("status") == "running")
    found = rows.select(
        "run_id",
        "holder",
        F.col("heartbeat").cast("double").alias("seen"),
        F.date_format("start", "yyyy-MM-dd HH:mm").alias("since"),
    ).collect()
    others = [row for row in found if row["run_id"] != run_id and _is_alive(row)]
    return sorted(others, key=lambda row: str(row["since"]))


def _is_alive(row: Row) -> bool:
    if row["holder"] is None or row["seen"] is None:
        return False  # of a release without leases
    if time.time() - row["seen"] > SILENCE_SECONDS or row["holder"] == _holder():
        return False  # this process can run one at a time: what it left behind is dead
    machine, _, process = row["holder"].rpartition(":")
    return machine != _machine() or _exists(int(process))


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # A zombie is dead, and stays where nobody asks for its exit code, as in many a container.
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # not Linux, or gone meanwhile
        return True
    return state != "Z"


def _holder() -> str:
    return f"{_machine()}:{os.getpid()}"


@cache
def _machine() -> str:
    """Where process numbers mean the same: a name, and what tells containers of one name apart."""
    parts = []
    with suppress(OSError):  # only Linux has these
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return f"{socket.gethostname()}-{hashlib.sha256(''.join(parts).encode()).hexdigest()[:8]}"


def _busy(root: TableRoot, other: Row, waited: float) -> str:
    return (
        f"the run {other['run_id']} is at work on {root.describe()} ({other['holder']}, since "
        f"{other['since']} UTC; waited {waited:.0f} s): let it end and run again, or "
        "give a longer run.wait_seconds"
    )


def utc(seconds: float) -> datetime:
    """A time of this machine as the tables hold it."""
    return datetime.fromtimestamp(seconds, UTC)
