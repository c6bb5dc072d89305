"""Release notes from quarantine, after the notes or the model were repaired.

    spark-submit jobs/release_notes.py --output ROOT --rule model_failure

The next extraction judges these notes again. Exit codes: 0 done (also if nothing was there), 1
failed, 2 bad settings, nothing changed, 4 another run holds the root.
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
from pipelines.upkeep.note_release import Release, release_notes

_EPILOG = """\
Rows of quarantined_notes are removed, and what is known of windows on which the model failed. Rules
that need no model (too_long, invalid_utf8, conflicting_texts, …) are judged anew by every run
anyway: there a release only tidies up. The next run with --changed-only reads its whole source.
"""
JOB = "release_notes"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = root_parser("Let quarantined notes be tried again.", _EPILOG)
    parser.add_argument(
        "--rule",
        metavar="NAME",
        action="append",
        default=[],
        help="only notes that broke this rule (repeatable; default: all)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _release(arguments))


def _release(arguments: argparse.Namespace) -> int:
    root = root_of(read_settings(arguments))
    spark = start_session("clinspan-release-notes")
    show_release(release_notes(spark, root, tuple(arguments.rule)))
    return DONE


def show_release(release: Release) -> None:
    """Prints what was removed."""
    table = Table(title="Released")
    table.add_column("rule")
    table.add_column("rows", justify="right")
    for rule, rows in sorted(release.rows.items()):
        table.add_row(rule, f"{rows:,}")
    console.print(table)
    if release.failures:
        console.print(f"{release.failures:,} windows on which a model failed are scored again")
    if not release.rows and not release.failures:
        console.print("Nothing was in quarantine for these rules")


if __name__ == "__main__":
    sys.exit(main())
