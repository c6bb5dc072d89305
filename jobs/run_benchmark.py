"""Compare Clinspan with other ways to run the same weights on the same notes (peers).

    make bench

Reads `conf/benchmark.yaml`, runs each measurement with spark-submit in a process of its own, and
writes `benchmark.json`, a table and plots. Exit codes: 0 done, whatever the speeds; 1 a measurement
failed (where a peer fails, it is named and the other measurements are made); 2 bad settings.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conf.benchmark import BenchmarkSettings, load_benchmark
from jobs.benchmark.benchmark_inputs import NOTES, write_inputs
from jobs.benchmark.measure_speed import CLINSPAN, ENGINE, MEASURED
from jobs.benchmark.process_memory import resident_sizes
from jobs.benchmark.show_benchmark import show_benchmark, write_plots
from jobs.command_line.exit_codes import DONE, exit_code
from udfs.errors import ClinspanError

JOB = "run_benchmark"
REPOSITORY = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.2
HALF = 0.5


@dataclass
class Measurement:
    """One process: what ran on which notes, its figures, and peak memory in MiB by kind."""

    what: str
    notes: str
    options: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)


class Bench:
    """The measurements of a benchmark, in a folder of their own."""

    def __init__(self, settings: BenchmarkSettings, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.settings, self.folder = settings, folder.absolute()
        self.done: list[Measurement] = []
        self._environment = os.environ | {
            "CLINSPAN_HASH_KEY": secrets.token_hex(32),
            "PYSPARK_PYTHON": sys.executable,
        }

    def shared_notes(self, settings: BenchmarkSettings, name: str) -> Path:
        """Writes a folder with the notes that peers and Clinspan share, and their gold spans."""
        folder = self.folder / name
        write_inputs(settings, folder)
        return folder

    def invented(self, notes: int, copied: float) -> Path:
        """A Delta table of this many invented notes; it is made once."""
        place = self.folder / f"invented-{notes}-{copied:.2f}"
        if not place.exists():
            self._submit("make_notes", "--output", place, "--notes", notes, "--copied", copied)
        return place

    def measure(self, what: str, notes: Path, *options: object) -> Measurement:
        """Runs one measurement and adds it to the report.

        Args:
            what: the value of `measure_speed --what`.
            notes: a folder of shared notes, or a Delta table.
            *options: more flags.
        """
        workplace = self.folder / f"{len(self.done):02}-{what}"
        workplace.mkdir()
        shared = (notes / NOTES).exists()
        source = ("--notes", notes / NOTES, "--gold", notes) if shared else ("--notes", notes)
        arguments = ("--what", what, *source, "--workplace", workplace)
        model = self.settings.model.absolute()
        peaks = self._submit("measure_speed", *arguments, "--model", model, *options)
        figures = json.loads((workplace / MEASURED).read_text(encoding="utf-8"))
        shutil.rmtree(workplace)
        found = Measurement(what, notes.name, [str(o) for o in options], figures, dict(peaks))
        self.done.append(found)
        print(json.dumps(asdict(found)), flush=True)
        report = json.dumps(self.report(), indent=2)
        (self.folder / "benchmark.json").write_text(report, encoding="utf-8")
        return found

    def report(self) -> list[dict[str, Any]]:
        """All measurements so far, as in `benchmark.json`."""
        return [asdict(measurement) for measurement in self.done]

    def _submit(self, job: str, *arguments: object) -> Mapping[str, int]:
        submit = Path(sys.executable).parent / "spark-submit"
        script = REPOSITORY / "jobs" / f"{job}.py"
        command = [submit, "--master", f"local[{self.settings.cores}]", script, *arguments]
        peaks: dict[str, int] = {}
        log = self.folder / "jobs.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    for kind, size in resident_sizes(process.pid).items():
                        peaks[kind] = max(peaks.get(kind, 0), size)
                    time.sleep(POLL_SECONDS)
            except BaseException:  # the process has its own session, which Ctrl-C does not reach
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise ClinspanError(f"{job} ended with {process.returncode}: see {log}")
        return peaks


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(
        JOB, lambda: _run(load_benchmark(arguments.config, arguments.set), arguments.output)
    )


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description="Measure Clinspan and peers.", allow_abbrev=False)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=REPOSITORY / "conf" / "benchmark.yaml"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", default=REPOSITORY / "build" / "benchmark"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser


def _run(settings: BenchmarkSettings, folder: Path) -> int:
    bench = Bench(settings, folder)
    shared = bench.shared_notes(settings, "shared")
    bench.measure(ENGINE, shared, "--threads", settings.cores)
    bench.measure(CLINSPAN, shared)
    failed = []
    for peer in settings.peers:
        try:
            options = ("--batch-size", _best_batch(bench)) if peer == "hugging_face_tuned" else ()
            bench.measure(peer, shared, *options)
        except ClinspanError as error:
            failed.append(f"{peer}: {error}")
            print(failed[-1], file=sys.stderr, flush=True)
    bench.measure(CLINSPAN, shared)  # a second time, to see how much the machine itself varies
    for size in settings.sizes:
        bench.measure(CLINSPAN, bench.invented(size, HALF))
    for copied in settings.copied:
        bench.measure(CLINSPAN, bench.invented(settings.copies_notes, copied))
    report = bench.report()
    show_benchmark(report)
    write_plots(report, bench.folder, settings.copies_notes)
    if failed:
        raise ClinspanError("; ".join(failed))
    return DONE


def _best_batch(bench: Bench) -> int:
    """The batch size at which the tuned pipeline is fastest on a quarter of the notes."""
    few = {"peer_notes": max(1, bench.settings.peer_notes // 4), "corpus": None}
    notes = bench.shared_notes(bench.settings.model_copy(update=few), "few")
    tried = {
        size: bench.measure("hugging_face_tuned", notes, "--batch-size", size)
        for size in bench.settings.batch_sizes
    }
    return min(tried, key=lambda size: tried[size].figures["seconds"])


if __name__ == "__main__":
    sys.exit(main())
