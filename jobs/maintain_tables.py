"""Upkeep of the tables of a root: upgrade, retention of predictions, OPTIMIZE, VACUUM.

    spark-submit jobs/maintain_tables.py --output ROOT

Run it while no extraction is running, for instance once a week. Exit codes: 0 done, 1 failed (a
repeat continues), 2 bad settings, no tables there or tables that cannot be upgraded, 4 another run
holds the root.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.table import Table

from jobs.command_line.exit_codes import DONE, exit_code
from jobs.command_line.root_options import read_settings, root_of, root_parser
from jobs.display.show_run import console
from jobs.wiring.start_session import start_session
from pipelines.run.run_lease import hold_for_upkeep
from pipelines.upkeep.table_history import SAFE_HOURS
from pipelines.upkeep.table_maintenance import (
    Retention,
    TableSize,
    drop_predictions,
    optimize_tables,
    vacuum_tables,
)
from pipelines.upkeep.table_upgrade import upgrade_tables

_EPILOG = """\
First the tables are upgraded to this release, then predictions are dropped if asked for, then files
are merged and ordered, then old files are removed. Time travel and the change feed reach back as
far as --retain-hours.
"""
JOB = "maintain_tables"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = root_parser("Upgrade, tidy and compact the tables of a root.", _EPILOG)
    parser.add_argument(
        "--retain-hours",
        metavar="N",
        type=_hours,
        default=SAFE_HOURS,
        help="keep the files that the versions of the last N hours need (default: %(default)s; "
        "with less, nothing else may read or write the tables meanwhile)",
    )
    parser.add_argument(
        "--drop-unused-predictions",
        action="store_true",
        help="drop predictions of windows that no note has (any more)",
    )
    parser.add_argument(
        "--drop-predictions-of-other-models",
        action="store_true",
        help="drop predictions of models that no note stands done with in the ledger",
    )
    parser.add_argument("--upgrade-only", action="store_true", help="upgrade and stop")
    return parser


def _hours(text: str) -> int:
    hours = int(text)
    if hours < 0:
        raise argparse.ArgumentTypeError("must be a whole number of at least 0")
    return hours


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _maintain(arguments))


def _maintain(arguments: argparse.Namespace) -> int:
    root = root_of(read_settings(arguments))
    spark = start_session("clinspan-maintain-tables")
    steps = upgrade_tables(spark, root)
    for step in steps:
        console.print(f"upgrade of {step.table}: {step.words}", markup=False)
    if not steps:
        console.print("The tables are those of this release")
    if arguments.upgrade_only:
        return DONE
    retention = Retention(
        unused=arguments.drop_unused_predictions,
        other_models=arguments.drop_predictions_of_other_models,
    )
    with hold_for_upkeep(spark, root, "maintain_tables"):
        if retention.unused or retention.other_models:
            dropped = drop_predictions(spark, root, retention)
            console.print(f"{dropped:,} predictions dropped")
        sizes = optimize_tables(spark, root)
        vacuum_tables(spark, root, arguments.retain_hours)
    show_sizes(sizes)
    return DONE


def show_sizes(sizes: Sequence[tuple[TableSize, TableSize]]) -> None:
    """Prints files and bytes of each table, before and after."""
    table = Table(title="Files of the tables, before and after")
    for name in ("table", "files", "bytes"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for before, after in sizes:
        table.add_row(
            before.table,
            f"{before.files:,} → {after.files:,}",
            f"{before.bytes:,} → {after.bytes:,}",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
