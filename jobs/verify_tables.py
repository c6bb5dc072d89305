"""Check that the tables of a root agree with each other and with the notes they were made from.

    spark-submit jobs/verify_tables.py --output ROOT [--notes PATH]

Reads only. Exit codes: 0 all checks hold, 1 failed, 2 bad settings or no tables there, 5 something
is wrong. The report holds counts and ids, never text.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rich.table import Table

from conf.hash_key import HASH_KEY_VARIABLE, load_hash_key
from conf.settings import Settings, SettingsError
from jobs.command_line.exit_codes import DONE, VIOLATED, exit_code
from jobs.command_line.root_options import (
    add_note_options,
    read_settings,
    root_of,
    root_parser,
    source_of,
)
from jobs.display.show_run import console
from jobs.wiring.start_session import start_session
from pipelines.verification.note_verification import verify_notes
from pipelines.verification.table_verification import Finding, open_for_checks, verify_tables

JOB = "verify_tables"
_EPILOG = """\
With the notes, every offset, window and hash is compared with their text: give the key and the
settings of the runs. Do not verify while a run is at work, or its unfinished notes will show.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _verify(read_settings(arguments)))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = root_parser("Check that the tables of a root agree with each other.", _EPILOG)
    add_note_options(parser)
    return parser


def _verify(settings: Settings) -> int:
    source = source_of(settings.notes)
    key = None if source is None else _existing_key(settings)
    spark = start_session("clinspan-verify-tables")
    tables, missing = open_for_checks(spark, root_of(settings))
    findings = [missing, *verify_tables(tables)]
    if source is not None and key is not None:
        most = settings.run.max_note_characters
        findings += verify_notes(spark, tables, source, key, most)
    show_findings(findings)
    return VIOLATED if any(finding.is_violation for finding in findings) else DONE


def _existing_key(settings: Settings) -> bytes:
    """The hash key of the runs, which must exist: with a new key no stored hash would match."""
    path = settings.security.hash_key_file
    if HASH_KEY_VARIABLE not in os.environ and not path.exists():
        raise SettingsError(
            f"hash key file {path}: must be that of the runs, but is not there; name it with "
            f"--set security.hash_key_file=PATH, or set {HASH_KEY_VARIABLE}"
        )
    return load_hash_key(path)


def show_findings(findings: Sequence[Finding]) -> None:
    """Prints a line for each check, and for each broken check what is wrong."""
    table = Table(title="Checks of the tables")
    for name in ("check", "rows", "broken"):
        table.add_column(name, justify="left" if name == "check" else "right")
    for finding in findings:
        table.add_row(finding.check.name, f"{finding.looked_at:,}", f"{finding.broken:,}")
    console.print(table)
    for finding in findings:
        if finding.broken:
            kind = "warning" if finding.check.warning else "violation"
            ids = ", ".join(finding.examples)
            words = f"{kind}: {finding.check.name}: {finding.check.says}; such as {ids}"
            console.print(words, markup=False)
    wrong = sum(finding.is_violation for finding in findings)
    console.print(
        f"{wrong} of {len(findings)} checks are broken. If a run is at work or was killed, let "
        "one run to the end and verify again"
        if wrong
        else f"All {len(findings)} checks hold"
    )


if __name__ == "__main__":
    sys.exit(main())
