"""A soak: invented notes day by day through the main job, which is killed every few minutes.

    make soak NOTES=100000

Each day is a run of spark-submit, repeated until it ends well. What each process holds in memory is
measured all the time. At last the tables are verified against the notes, and counted: every note
done once, every distinct window scored once. Prints the days; writes `soak.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jobs.benchmark.process_memory import resident_sizes
from jobs.wiring.start_session import start_session
from pipelines.benchmark.invented_frame import FIRST_DAY
from pipelines.tables.definitions import ENTITIES, NOTE_WINDOWS, PREDICTIONS, PROCESSED_NOTES
from pipelines.tables.table_root import TableRoot
from tests.soak.small_package import cut_layers
from tests.support.places import REPOSITORY, SHIPPED

TRIES = 50


@dataclass
class Day:
    """What one day took: `peaks` are the largest resident sizes in MiB, by kind of process."""

    day: str
    seconds: float = 0.0
    kills: int = 0
    codes: list[int] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)


class Soak:
    """The jobs of a soak, in a folder of their own, with a model or a small one of one layer."""

    def __init__(self, folder: Path, model: Path | None, kill_seconds: float, seed: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder.absolute()
        self.notes, self.root = self.folder / "notes", self.folder / "root"
        self.model = model.absolute() if model else cut_layers(SHIPPED, self.folder / "model")
        self._dice, self._kill_seconds = random.Random(seed), kill_seconds
        self._next_kill = self._draw()
        self._environment = os.environ | {
            "CLINSPAN_HASH_KEY": secrets.token_hex(32),
            "PYSPARK_PYTHON": sys.executable,
        }

    def make_notes(self, notes: int, days: int, copied: float) -> None:
        code = self._run(
            "make_notes", "--output", self.notes,
            "--notes", notes, "--days", days, "--copied", copied,
        )  # fmt: skip
        assert code == 0, f"make_notes ended with {code}"

    def extract(self, number: int) -> Day:
        """One day, again and again until it ends well."""
        begin = date.fromisoformat(FIRST_DAY) + timedelta(days=number)
        day = Day(begin.isoformat())
        arguments = [
            *("--notes", self.notes, "--output", self.root, "--model", self.model),
            *("--since", begin, "--until", begin + timedelta(days=1)),
        ]
        begun = time.monotonic()
        while not day.codes or day.codes[-1]:
            assert len(day.codes) < TRIES, f"{day.day} did not end well in {TRIES} tries"
            code = self._run("extract_entities", *arguments, day=day)
            assert code in (0, -signal.SIGKILL), f"{day.day} ended with {code}: see {self._log}"
            day.codes.append(code)
        day.seconds = time.monotonic() - begun
        return day

    def verify(self) -> int:
        places = ("--notes", self.notes, "--output", self.root, "--format", "delta")
        return self._run("verify_tables", *places)

    @property
    def _log(self) -> Path:
        return self.folder / "jobs.log"

    def _run(self, job: str, *arguments: object, day: Day | None = None) -> int:
        """Runs a job to its end, or until the next kill where it works on a day."""
        submit = Path(sys.executable).parent / "spark-submit"
        command = [submit, REPOSITORY / "jobs" / f"{job}.py", *arguments]
        begun = time.monotonic()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        while (code := process.poll()) is None:
            time.sleep(1)
            if day is None:
                continue
            for kind, size in resident_sizes(process.pid).items():
                day.peaks[kind] = max(day.peaks.get(kind, 0), size)
            if self._kill_seconds and time.monotonic() - begun > self._next_kill:
                os.killpg(process.pid, signal.SIGKILL)
                self._next_kill = self._draw()
                code = process.wait()
                day.kills += code == -signal.SIGKILL  # else it had ended just before
                return code
        self._next_kill -= time.monotonic() - begun if day else 0.0
        return code

    def _draw(self) -> float:
        return self._dice.uniform(0.5, 1.5) * self._kill_seconds


def counts(root: Path) -> dict[str, int]:
    """What stands in the tables."""
    spark, at = start_session("clinspan-soak"), TableRoot.at(str(root), None)
    ledger = at.read(spark, PROCESSED_NOTES)
    windows = at.read(spark, NOTE_WINDOWS)
    predictions = at.read(spark, PREDICTIONS)
    return {
        "ledger_rows": ledger.count(),
        "notes": ledger.select("note_id").distinct().count(),
        "wordpieces": ledger.groupBy().sum("wordpieces").first()[0],
        "windows": windows.count(),
        "distinct_windows": windows.select("window_hash").distinct().count(),
        "predictions": predictions.count(),
        "scored_wordpieces": predictions.groupBy().sum("wordpieces").first()[0],
        "entities": at.read(spark, ENTITIES).count(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="A soak of the main job.", allow_abbrev=False)
    parser.add_argument("--notes", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--copied", type=float, default=0.5)
    parser.add_argument("--kill-seconds", type=float, default=180.0, help="0: none is killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a model package; else one of a single layer")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "soak")
    options = parser.parse_args()
    soak = Soak(options.folder, options.model, options.kill_seconds, options.seed)
    begun = time.monotonic()
    soak.make_notes(options.notes, options.days, options.copied)
    made = time.monotonic() - begun
    days = []
    for number in range(options.days):
        day = soak.extract(number)
        days.append(day)
        print(json.dumps(asdict(day)), flush=True)
    ended = time.monotonic()
    code = soak.verify()
    verified = time.monotonic() - ended
    found = counts(soak.root)
    report = {
        "notes": options.notes,
        "days": [asdict(day) for day in days],
        "seconds": {"notes": made, "days": ended - begun - made, "verify": verified},
        "verify_tables": code,
        "tables": found,
    }
    (soak.folder / "soak.json").write_text(json.dumps(report, indent=2))
    show(days, report)
    is_right = (
        found["notes"] == found["ledger_rows"] == options.notes
        and found["predictions"] == found["distinct_windows"]
        and code == 0
    )
    print("tables right" if is_right else "TABLES WRONG")
    return 0 if is_right else 1


def show(days: list[Day], report: dict) -> None:
    """Prints a row for each day, and the totals."""
    kinds = ("JVM", "driver", "worker")
    table = Table("day", "seconds", "kills", *(f"{kind} MiB" for kind in kinds))
    for day in days:
        peaks = (f"{day.peaks.get(kind, 0):,}" for kind in kinds)
        table.add_row(day.day, f"{day.seconds:.0f}", str(day.kills), *peaks)
    console = Console(width=100)
    console.print(table)
    for name, value in report["tables"].items():
        console.print(f"{name}: {value:,}", highlight=False)
    for name, value in report["seconds"].items():
        console.print(f"seconds for {name}: {value:,.0f}", highlight=False)
    console.print(f"verify_tables: exit code {report['verify_tables']}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
