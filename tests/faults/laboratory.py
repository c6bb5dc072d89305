"""Starts jobs, and judges a root after whatever happened to it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from tests.faults.canary import find_canary
from tests.faults.process_tree import Found, wait_for
from tests.faults.table_picture import Picture, differences, read, take_picture
from tests.support.cluster_processes import HASH_KEY, REPOSITORY, Processes, Started
from tests.support.places import SHIPPED

JOB = REPOSITORY / "jobs" / "extract_entities.py"
_COMPILER = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
# As in the session of the tests; these JVMs end before the slow compiler would pay.
QUICK = {
    "spark.driver.extraJavaOptions": _COMPILER,
    "spark.executor.extraJavaOptions": _COMPILER,
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@dataclass(frozen=True)
class Lot:
    """Notes, and the tables that an undisturbed run makes of them."""

    notes: Path
    root: Path
    picture: Picture
    scored_windows: int


@dataclass(frozen=True)
class Laboratory:
    """The place of all these tests; `settings` is a YAML file for the jobs."""

    spark: SparkSession
    processes: Processes
    environment: dict[str, str]
    workplace: Path
    settings: Path
    model: Path = SHIPPED

    def locally(
        self,
        name: str,
        notes: Path,
        root: Path,
        *more: object,
        local_dirs: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Started:
        """Starts the main job by spark-submit on a local master, as a user of one machine does."""
        environment = self.environment | {"PYSPARK_PYTHON": sys.executable}
        if local_dirs is not None:
            environment["SPARK_LOCAL_DIRS"] = str(local_dirs)
        folder = self.workplace / name
        folder.mkdir()
        command = [
            Path(sys.executable).parent / "spark-submit",
            *("--master", "local[2,4]", "--conf", "spark.sql.shuffle.partitions=4"),
            *(f"--conf={key}={value}" for key, value in (QUICK | dict(options or {})).items()),
            *(JOB, *self.arguments(notes, root), *more),
        ]
        return self.processes.start(name, command, environment, folder)

    def wait(self, started: Started) -> tuple[int, str]:
        return self.processes.wait(started)

    def kill(self, started: Started) -> int:
        """kill -9 of the JVM and the Python of a driver at once."""
        return self.processes.kill(started)

    def in_process(self, notes: Path, root: Path, *more: object) -> int:
        """Runs the main job in the session of the tests; returns its exit code."""
        from jobs.extract_entities import main

        return self._main(main, [*self.arguments(notes, root), *more])

    def verify(self, notes: Path, root: Path) -> int:
        """The exit code of `jobs/verify_tables.py` over a root and its notes."""
        from jobs.verify_tables import main

        places = ["--notes", notes, "--output", root, "--config", self.settings]
        return self._main(main, places)

    def wait_until(self, started: Started, look: Callable[[], Found], what: str) -> Found:
        """Looks until there is something; fails if the job ends before."""
        return wait_for(look, what, lambda: started.process.poll() is None)

    def copy(self, root: Path, name: str) -> Path:
        return Path(shutil.copytree(root, self.workplace / name))

    def last_run(self, root: Path) -> Row:
        """The row of the run that began last."""
        return read(self.spark, root, "runs").orderBy("start", ascending=False).first()

    def stored_windows(self, root: Path) -> int:
        return read(self.spark, root, "predictions").count()

    def expect_right(self, root: Path, lot: Lot) -> str:
        """Fails unless a root holds what an undisturbed run makes of the notes, each row once, all
        of it verified, and no text of notes but where it may stand. Returns the words for the list.
        """
        assert differences(take_picture(self.spark, root), lot.picture) == []
        assert self.verify(lot.notes, root) == 0
        assert find_canary(root) == []
        rows = ", ".join(f"{count} {name}" for name, count in lot.picture.rows.items())
        return f"tables equal to those of an undisturbed run ({rows}); verify_tables 0"

    def arguments(self, notes: Path, root: Path) -> list[object]:
        places = ["--notes", notes, "--output", root, "--model", self.model]
        return [*places, "--config", self.settings]

    @staticmethod
    def _main(main: Callable[[list[str]], int], arguments: list[object]) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CLINSPAN_HASH_KEY", HASH_KEY)
            return main([str(argument) for argument in arguments])
