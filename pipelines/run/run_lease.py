"""Lets one run at a time work on a root, whether a folder, an object store or a catalog's schema.

The row of a run in `runs` is its lease: it says which process works, and when that was last known
to be alive. A run that begins writes its row, then reads those of other runs. If it sees another
run at work, it removes its own row and tries again later, so two runs can never both go on. A
killed run is recognised by its process, or from another machine by its silence. Jobs of upkeep hold
a root in the same way. This module does not know what runs do.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from pipelines.run import run_record
from pipelines.run.run_record import RunRecord
from pipelines.tables.definitions import RUNS
from pipelines.tables.row_writes import delete_rows
from pipelines.tables.table_root import TableRoot
from udfs.errors import RootBusyError

HEARTBEAT_SECONDS = 60.0
# A run on another machine that writes no heartbeat for this long counts as killed. A stage that
# takes all slots for longer than this keeps its own run from writing one.
SILENCE_SECONDS = 900.0
# How far the kernel's clock of process starts and the clock of heartbeats may be apart.
CLOCK_SECONDS = 30.0
# Two runs that begin at the same moment both step back. They try again for at least this long,
# however short the wait that was asked for.
LEAST_TRY_SECONDS = 20.0


class Lease:
    """The right of one run to write (see `hold_root`).

    `waited` is true if another run held the root first.
    """

    def __init__(self, spark: SparkSession, root: TableRoot, record: RunRecord) -> None:
        """Starts the lease of the run with this record; `keep` has to show that it is alive."""
        self._spark, self._root, self._record = spark, root, record
        self.waited = False
        self._held_since = self._alive_at = time.time()
        self._was_silent = False
        self._ended = threading.Event()
        self._beating = threading.Lock()

    def refuse_lost(self) -> None:
        """Refuses to go on if another run took this one for dead.

        A run may be silent without harm, while one stage takes all slots or the machine sleeps.
        After such a silence it writes its row first and then reads those of others, as a run that
        begins does.

        Raises:
            RootBusyError: another run is or was at work since this lease began, or the row of this
                run is gone.
        """
        if not (self._was_silent or self._is_silent()):
            return
        silence = time.time() - self._alive_at
        self._beat()
        if _worked_since(self._spark, self._root, self._record.run_id, self._held_since):
            raise RootBusyError(
                f"this run was silent for {max(silence, SILENCE_SECONDS):.0f} s or more, and "
                "another took the root meanwhile. What is committed stays, run again"
            )
        self._was_silent = False

    def keep(self) -> None:
        """Writes a heartbeat now and then until `end` is called; runs in a thread of its own."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # the next try comes soon, and `refuse_lost` sees the gap
                self._beat()

    def _beat(self) -> None:
        with self._beating:
            begun = time.time()
            if not run_record.beat(self._spark, self._root, self._record.run_id, utc(begun)):
                raise RootBusyError(
                    f"the row of this run in {self._root.describe()} is gone: run again"
                )
            # The duration of this write counts as silence: others saw the old time until now.
            self._was_silent |= self._is_silent()
            self._alive_at = begun

    def _is_silent(self) -> bool:
        return time.time() - self._alive_at > SILENCE_SECONDS

    def end(self) -> None:
        """Ends `keep`."""
        self._ended.set()


@contextmanager
def hold_root(
    spark: SparkSession, root: TableRoot, record: RunRecord, wait_seconds: float
) -> Iterator[Lease]:
    """Holds a root for one run.

    The run's row in `runs` says `running` until the caller finishes or removes it.

    Args:
        spark: the session.
        root: where the tables are.
        record: the record of the run that begins.
        wait_seconds: how long to wait for another run to end.

    Raises:
        RootBusyError: another run did not end within that time.
    """
    begun = time.monotonic()
    deadline = begun + max(wait_seconds, LEAST_TRY_SECONDS)
    waited = False
    while True:
        lease = Lease(spark, root, record)
        run_record.begin(spark, root, replace(record, holder=_holder(), heartbeat=utc(time.time())))
        others = _others(spark, root, record.run_id)
        if not others:
            break
        waited = True
        _remove(spark, root, record.run_id)
        while others:
            if time.monotonic() > deadline:
                raise RootBusyError(_busy(root, others[0], time.monotonic() - begun))
            _pause()
            others = _others(spark, root, record.run_id)
    lease.waited = waited
    thread = threading.Thread(target=lease.keep, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.end()
        thread.join()


def _pause() -> None:
    time.sleep(random.uniform(0.5, 4))


@contextmanager
def hold_for_upkeep(spark: SparkSession, root: TableRoot, job: str) -> Iterator[None]:
    """Keeps runs away from a root while a job changes what they wrote; leaves no row in `runs`.

    Raises:
        RootBusyError: a run is at work.
    """
    record = RunRecord(
        run_id=uuid.uuid4().hex,
        start=utc(time.time()),
        status="running",
        input=job,
        settings_digest="",
        code_version="",
        model="",
        model_fingerprint="",
        pipeline_fingerprint="",
        rows_read=0,
        notes=0,
    )
    with hold_root(spark, root, record, wait_seconds=0):
        try:
            yield
        finally:
            _remove(spark, root, record.run_id)


def _remove(spark: SparkSession, root: TableRoot, run_id: str) -> None:
    own = spark.createDataFrame([(run_id,)], "run_id string")
    delete_rows(spark, root, RUNS, own)


def _others(spark: SparkSession, root: TableRoot, run_id: str) -> list[Row]:
    """The rows of other runs that are alive, the longest at work first."""
    rows = root.read(spark, RUNS).where(F.col("status") == "running")
    found = rows.select(
        "run_id",
        "holder",
        F.col("heartbeat").cast("double").alias("seen"),
        F.date_format("start", "yyyy-MM-dd HH:mm").alias("since"),
    ).collect()
    others = [row for row in found if row["run_id"] != run_id and _is_alive(row)]
    return sorted(others, key=lambda row: str(row["since"]))


def _worked_since(spark: SparkSession, root: TableRoot, run_id: str, seconds: float) -> bool:
    """Whether another run is at work, or has ended since a time."""
    ended = root.read(spark, RUNS).where(F.col("end") >= F.lit(utc(seconds)))
    ended = ended.where(F.col("run_id") != run_id)
    return bool(_others(spark, root, run_id)) or not ended.isEmpty()


def _is_alive(row: Row) -> bool:
    if row["holder"] is None or row["seen"] is None:
        return False  # written by a release without leases
    if row["holder"] == _holder():
        return False  # a process has one run at a time, so its earlier runs are dead
    machine, _, process = row["holder"].rpartition(":")
    if machine == _machine():
        return _exists(int(process), row["seen"])
    return time.time() - row["seen"] <= SILENCE_SECONDS


def _exists(process: int, seen: float) -> bool:
    """Whether the process seen alive at a time still exists; its machine may have slept since."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/stat").read_text().partition("btime ")[2].split()[0]
        begun = int(boot) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):  # not Linux, or gone meanwhile
        return time.time() - seen <= SILENCE_SECONDS
    # A zombie is dead; it stays if nobody reads its exit code, as in many containers. A process
    # that began after the heartbeat has only inherited the number of a dead one.
    return fields[0] != "Z" and begun <= seen + CLOCK_SECONDS


def _holder() -> str:
    return f"{_machine()}:{os.getpid()}"


@cache
def _machine() -> str:
    """The scope of process numbers: the host's name, with a digest of boot and PID namespace.

    The digest tells containers with the same name apart.
    """
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
    """Seconds since 1970 as a UTC time, as the tables hold it."""
    return datetime.fromtimestamp(seconds, UTC)
