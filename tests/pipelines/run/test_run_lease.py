"""One run at a time on one root; a run that was killed does not stand in the way of the next."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.run import run_lease, run_record
from pipelines.run.run_lease import hold_for_upkeep, hold_root
from pipelines.run.run_record import RunRecord
from pipelines.tables.definitions import RUNS
from pipelines.tables.table_root import TableRoot, create_tables
from udfs.errors import RootBusyError


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def root(spark, tmp_path: Path) -> TableRoot:
    place = TableRoot.at(str(tmp_path / "root"), None)
    create_tables(spark, place)
    return place


def record(run_id: str, **values: object) -> RunRecord:
    names = ("input", "settings_digest", "code_version", "model", "model_fingerprint")
    texts = dict.fromkeys((*names, "pipeline_fingerprint"), "x")
    counts = {"rows_read": 1, "notes": 1}
    return RunRecord(run_id=run_id, start=now(), status="running", **texts, **counts, **values)


def other_process(code: str = "import time; time.sleep(600)") -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code])


def statuses(spark, root: TableRoot) -> dict[str, str]:
    rows = root.read(spark, RUNS).select("run_id", "status").collect()
    return {row.run_id: row.status for row in rows}


def test_only_a_run_that_is_alive_keeps_others_away(
    spark, root: TableRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lease, "LEAST_TRY_SECONDS", 0.0)
    machine, own = run_lease._machine(), os.getpid()
    ended, zombie = other_process("pass"), other_process("pass")
    ended.wait()
    long_ago = now() - timedelta(seconds=run_lease.SILENCE_SECONDS + 5)
    dead = {
        "killed on this machine": {"holder": f"{machine}:{ended.pid}", "heartbeat": now()},
        "not asked for its exit code": {"holder": f"{machine}:{zombie.pid}", "heartbeat": now()},
        "left behind by this process": {"holder": f"{machine}:{own}", "heartbeat": now()},
        "silent elsewhere": {"holder": f"elsewhere:{own}", "heartbeat": long_ago},
        "one whose number is another's now": {
            "holder": f"{machine}:{os.getppid()}",
            "heartbeat": datetime(2001, 1, 1, tzinfo=UTC),
        },
        "of a release without leases": {},
    }
    for run_id, values in dead.items():
        run_record.begin(spark, root, record(run_id, **values))
    with hold_for_upkeep(spark, root, "purge_notes"):
        assert "running" in statuses(spark, root).values()
    with hold_root(spark, root, record("mine"), wait_seconds=0) as lease:
        lease.refuse_lost()
        # It waits for one that is at work elsewhere, as this one looks from there.
        alive = other_process()
        try:
            holder = f"{machine}:{alive.pid}"
            run_record.begin(spark, root, record("at work", holder=holder, heartbeat=now()))
            with (
                pytest.raises(RootBusyError, match=r"at work is at work on .*wait_seconds"),
                hold_for_upkeep(spark, root, "purge_notes"),
            ):
                pytest.fail("a purge beside a run")
            # It is as much alive if it slept, as its machine may.
            monkeypatch.setattr(run_lease, "SILENCE_SECONDS", -1.0)
            monkeypatch.setattr(run_lease, "CLOCK_SECONDS", 60.0)
            with (
                pytest.raises(RootBusyError, match="the run at work"),
                hold_root(spark, root, record("too late"), wait_seconds=0),
            ):
                pytest.fail("two runs hold one root")
        finally:
            alive.kill()
            alive.wait()
    zombie.wait()
    # Who steps back leaves no row; whoever holds it has to finish his own.
    assert statuses(spark, root).keys() == {*dead, "mine", "at work"}


@pytest.mark.whole
def test_a_run_waits_for_upkeep(spark, root: TableRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lease, "LEAST_TRY_SECONDS", 0.0)
    with hold_for_upkeep(spark, root, "maintain_tables"):
        monkeypatch.setattr(run_lease, "_holder", lambda: "elsewhere:1")
        with (
            pytest.raises(RootBusyError, match="is at work on"),
            hold_root(spark, root, record("too early"), wait_seconds=0),
        ):
            pytest.fail("a run beside upkeep")
    assert statuses(spark, root) == {}


@pytest.mark.whole
@pytest.mark.both_lanes
def test_a_run_waits_until_the_other_one_has_ended(spark, root: TableRoot) -> None:
    seen = {"holder": "elsewhere:1", "heartbeat": now()}
    run_record.begin(spark, root, record("other", **seen))
    begun = time.monotonic()
    pauses: list[str] = []

    def pause() -> None:
        pauses.append("one")
        run_record.finish(spark, root, replace(record("other", **seen), status="done"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_lease, "_pause", pause)
        with hold_root(spark, root, record("mine"), wait_seconds=300):
            assert time.monotonic() - begun < 200
    assert len(pauses) == 1
    assert statuses(spark, root) == {"other": "done", "mine": "running"}


@pytest.mark.whole
def test_a_run_shows_that_it_is_alive(
    spark, root: TableRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lease, "HEARTBEAT_SECONDS", 0.1)

    def heartbeat() -> float:
        row = root.read(spark, RUNS).selectExpr("cast(heartbeat AS double)").first()
        return row[0]

    with hold_root(spark, root, record("mine"), wait_seconds=0) as lease:
        first = heartbeat()
        deadline = time.monotonic() + 120
        while heartbeat() <= first:
            assert time.monotonic() < deadline
        lease.refuse_lost()


@pytest.mark.whole
def test_a_run_that_was_silent_goes_on_unless_another_took_the_root(
    spark, root: TableRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = record("ended before", end=now() - timedelta(seconds=60))
    run_record.begin(spark, root, replace(before, status="done"))
    with hold_root(spark, root, record("mine"), wait_seconds=0) as lease:
        lease._alive_at -= run_lease.SILENCE_SECONDS + 60
        lease.refuse_lost()
        # A heartbeat that comes late does not hide that there was none.
        lease._alive_at -= run_lease.SILENCE_SECONDS + 60
        lease._beat()
        other = record("other", end=now() + timedelta(seconds=1))
        run_record.begin(spark, root, replace(other, status="done"))
        with pytest.raises(RootBusyError, match="another took the root meanwhile"):
            lease.refuse_lost()
