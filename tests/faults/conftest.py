"""What the tests of faults share: a cluster, notes with a canary in every line, undisturbed runs to
compare with, and the list of faults with their results that is printed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults import canary, table_picture
from tests.faults import laboratory as laboratories
from tests.support import cluster_processes as shared

# Fixtures of this folder's tests.
processes, strange_python = shared.processes, shared.strange_python
project_zip, job, cluster = shared.project_zip, shared.job, shared.cluster
workplace, spark_environment = shared.workplace, shared.spark_environment

SETTINGS = f"""\
run:
  max_note_characters: {canary.MOST_CHARACTERS}
  max_quarantined_fraction: 0.5
"""


@pytest.fixture(scope="session")
def laboratory(spark, processes, spark_environment: dict[str, str], workplace: Path):
    settings = workplace / "settings.yaml"
    settings.write_text(SETTINGS)
    return laboratories.Laboratory(spark, processes, spark_environment, workplace, settings)


@pytest.fixture(scope="session")
def on_cluster(laboratory, cluster, job: Path) -> Callable:
    """Starts the main job on the standalone cluster: a task slot on each of two executors."""
    event_logs = laboratory.workplace / "event-logs"
    event_logs.mkdir()
    settings = laboratories.QUICK | {
        "spark.executor.cores": 1,
        "spark.cores.max": 2,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": event_logs,
    }

    def start(
        name: str,
        notes: Path,
        root: Path,
        options: Mapping[str, object] | None = None,
    ):
        chosen = {k.replace(".", "__"): v for k, v in (settings | dict(options or {})).items()}
        arguments = laboratory.arguments(notes, root)
        return cluster.start(name, job, *arguments, conf="cpu.conf", **chosen)

    return start


@pytest.fixture(scope="session")
def make_lot(laboratory) -> Callable:
    """Notes with the tables that one run has just made of them, which must be sound."""

    def make(notes: Path, root: Path):
        assert laboratory.verify(notes, root) == 0
        picture = table_picture.take_picture(laboratory.spark, root)
        assert all(picture.rows.values()), f"a table is empty: {picture.rows}"
        return laboratories.Lot(notes, root, picture, laboratory.last_run(root).scored_windows)

    return make


@dataclass(frozen=True)
class Undisturbed:
    """A run on the cluster that nothing happened to, and what it left in files meanwhile."""

    lot: object
    printed: str
    watch: object


@pytest.fixture(scope="session")
def undisturbed(
    laboratory,
    on_cluster: Callable,
    make_lot: Callable,
    samples: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Undisturbed:
    """210 notes on the cluster: enough for a first slice and some more."""
    notes = tmp_path_factory.mktemp("notes") / "many.jsonl"
    canary.write_notes(samples, notes, notes=70, copies=3)
    root = laboratory.workplace / "undisturbed"
    with canary.Watch(laboratory.workplace / "local") as watch:
        # Sorts spill soon, so that there are spill files to look at.
        spilling = {"spark.shuffle.spill.numElementsForceSpillThreshold": 100}
        started = on_cluster("undisturbed-run", notes, root, options=spilling)
        code, printed = laboratory.wait(started)
    assert code == 0, printed[-3000:]
    return Undisturbed(make_lot(notes, root), printed, watch)


@pytest.fixture(scope="session")
def many(undisturbed: Undisturbed):
    return undisturbed.lot


@pytest.fixture(scope="session")
def few(laboratory, make_lot: Callable, samples: Path, tmp_path_factory: pytest.TempPathFactory):
    """6 notes, for what needs no cluster."""
    folder = tmp_path_factory.mktemp("few")
    notes = canary.write_notes(samples, folder / "few.jsonl", notes=6, copies=1)
    assert laboratory.in_process(notes, folder / "root") == 0
    return make_lot(notes, folder / "root")


@dataclass
class Fault:
    """A line of the list: what was done to a run, the exit codes that came, and how it ended."""

    name: str
    codes: list[int] = field(default_factory=list)
    result: str = "NOT RUN"


_LINE = pytest.StashKey[Fault]()
_LINES = pytest.StashKey[list[Fault]]()


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """The line of this test."""
    return request.node.stash[_LINE]


def pytest_collection_finish(session: pytest.Session) -> None:
    """A line for each test to be run, named by its docstring: one that never began shows, too."""
    lines = session.config.stash.setdefault(_LINES, [])
    for item in session.items:
        if isinstance(item, pytest.Function) and "fault" in item.fixturenames:
            case = f" [{item.callspec.id}]" if hasattr(item, "callspec") else ""
            item.stash[_LINE] = Fault(str(item.function.__doc__).strip() + case)
            lines.append(item.stash[_LINE])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = (yield).get_result()
    if _LINE in item.stash and not report.passed:
        reason = report.longrepr[2] if report.skipped else report.when
        item.stash[_LINE].result = f"{report.outcome.upper()} ({reason})"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    lines = config.stash.get(_LINES, [])
    if not lines or config.option.collectonly:
        return
    terminalreporter.section("faults and their results")
    for line in lines:
        codes = ", ".join(map(str, line.codes)) or "none"
        terminalreporter.line(f"{line.name}\n    exit codes {codes}: {line.result}")
