"""One run at a time on one root, whatever the root is: a folder, an object store, a catalog.

The row of a run in `runs` is its lease: it says who works, and when he last showed to be alive. A
run that begins writes its row, then reads those of others; who sees another takes his own back and
tries again later, so that two can never both go on. A run that was killed is known by its process,
or from another machine by its silence. Jobs of upkeep hold a root in the same way. It does not know
what runs do.
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
# A run on another machine that is silent for so long was killed. A stage that takes all slots for
# longer than this silences its own run.
SILENCE_SECONDS = 900.0
# By so much the clocks of a process and of its machine may be apart.
CLOCK_SECONDS = 30.0
# Two that begin at the same moment both step back: so long they try again, however short the wait.
LEAST_TRY_SECONDS = 20.0


class Lease:
    """The right of one run to write; see `hold_root`. `waited`: others had it before."""

    def __init__(self, spark: SparkSession, root: TableRoot, record: RunRecord) -> None:
        self._spark, self._root, self._record = spark, root, record
        self.waited = False
        self._held_since = self._alive_at = time.time()
        self._was_silent = False
        self._ended = threading.Event()
        self._beating = threading.Lock()

    def refuse_lost(self) -> None:
        """Raises `RootBusyError` where another run took this one for dead.

        A run may be silent without harm, while one stage takes all slots or the machine sleeps. Its
        row is written first, then those of others are read, as by a run that begins.
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
        """Shows that the run is alive until `end`; the work of a thread."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # the next try is near, and `refuse_lost` knows
                self._beat()

    def _beat(self) -> None:
        with self._beating:
            begun = time.time()
            if not run_record.beat(self._spark, self._root, self._record.run_id, utc(begun)):
                raise RootBusyError(
                    f"the row of this run in {self._root.describe()} is gone: run again"
                )
            # How long it took counts as silence: others saw the old time until now.
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
    """Holds a root for one run; its row in `runs` says `running` and has to be finished.

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
    """Keeps runs away from a root while a job changes what they wrote; it leaves no row behind.

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
        return False  # of a release without leases
    if row["holder"] == _holder():
        return False  # this process can run one at a time: what it left behind is dead
    machine, _, process = row["holder"].rpartition(":")
    if machine == _machine():
        return _exists(int(process), row["seen"])
    return time.time() - row["seen"] <= SILENCE_SECONDS


def _exists(process: int, seen: float) -> bool:
    """Whether the process that was alive at a time still is; it may have slept with its machine."""
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
    # A zombie is dead, and stays where nobody asks for its exit code, as in many a container. One
    # that began later has only the number of a dead one.
    return fields[0] != "Z" and begun <= seen + CLOCK_SECONDS


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
