"""Invent notes in any number, to try out a machine or a cluster.

    spark-submit jobs/make_notes.py --output NOTES --notes 100000 --days 10

Writes a Delta table of notes in the shape of MIMIC-IV-Note. The same seed gives the same notes on
every machine. Exit codes: 0 done, 1 failed, 2 bad arguments, or the output exists.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.command_line.exit_codes import DONE, exit_code
from jobs.wiring.start_session import start_session
from pipelines.benchmark.invented_frame import FIRST_DAY, invented_notes
from pipelines.spark.error_names import error_class
from udfs.benchmark.invented_notes import LINES, NotePlan
from udfs.errors import InputError

_EPILOG = f"""\
Each note has {LINES} paragraphs of one sentence. A day's notes have a storetime of that day, from
{FIRST_DAY} on, so that --since and --until of extract_entities choose days.
"""
# A partition, and so a file, holds about this many notes.
PARTITION_NOTES = 50_000
# The names that Delta and Spark give the error of an output that exists.
_THERE_IS_ONE = ("DELTA_PATH_EXISTS", "PATH_ALREADY_EXISTS")
JOB = "make_notes"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Invent notes in any number.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", metavar="PATH", required=True, help="the Delta table to write; a new place")
    add("--notes", metavar="N", type=int, required=True, help="how many")
    add("--days", metavar="N", type=int, default=1, help="spread evenly over so many days (1)")
    add(
        "--copied", metavar="SHARE", type=float, default=0.5, help="of the paragraphs, 0 to 1 (0.5)"
    )
    add("--seed", metavar="N", type=int, default=0, help="another one gives other notes (0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _make(arguments))


def _make(arguments: argparse.Namespace) -> int:
    plan = _plan(arguments)
    spark = start_session("clinspan-make-notes")
    notes = invented_notes(spark, plan, partitions=-(-plan.notes // PARTITION_NOTES))
    writer = notes.write.format("delta").mode("error")
    # Keeps text out of the statistics in Delta's log.
    writer = writer.option("delta.dataSkippingStatsColumns", "note_id,storetime")
    try:
        writer.save(arguments.output)
    except Exception as error:
        if error_class(error) not in _THERE_IS_ONE:
            raise
        raise InputError(
            f"--output {arguments.output}: there is a table already; give a new place"
        ) from None
    print(f"{plan.notes:,} notes of {plan.days} days in {arguments.output}")
    return DONE


def _plan(arguments: argparse.Namespace) -> NotePlan:
    if arguments.notes < 1 or not 1 <= arguments.days <= arguments.notes:
        raise InputError(
            f"--notes {arguments.notes} --days {arguments.days}: there must be at least one day, "
            "and one note for each"
        )
    if not 0 <= arguments.copied < 1:
        raise InputError(f"--copied {arguments.copied}: must be at least 0 and less than 1")
    return NotePlan(arguments.notes, arguments.days, arguments.copied, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
