"""Remove a patient or a list of notes from every table of a root.

    spark-submit jobs/purge_notes.py --output ROOT --subject-ids FILE --notes PATH --vacuum

Exit codes: 0 done (also if nothing was found), 1 failed (a repeat continues), 2 bad settings or
input, nothing removed, 4 another run holds the root. Prints counts, never ids.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from conf.settings import SettingsError
from jobs.command_line.exit_codes import DONE, exit_code
from jobs.command_line.root_options import (
    add_note_options,
    read_settings,
    root_of,
    root_parser,
    source_of,
)
from jobs.command_line.source_values import read_ids
from jobs.display.show_run import console
from jobs.wiring.start_session import start_session
from pipelines.upkeep.note_purge import (
    Purge,
    PurgeRequest,
    Remains,
    find_remains,
    purge_notes,
    remove_remains,
)

_EPILOG = """\
Ids in files stay out of the shell's history, the list of processes and Spark's event log, which
holds the command line. Without --vacuum the removed rows stay in old files and change data, and
their ids in the statistics of the log, until that is run. With it nothing else may read or write
the root meanwhile; time travel and streams over the tables begin anew. Whoever copied rows
(exports, readers of the change feed, backups) has them still. A note that is still in the source
comes back with the next extraction: remove it there first.
"""
JOB = "purge_notes"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = root_parser("Remove a patient or a list of notes from every table.", _EPILOG)
    which = parser.add_argument_group("which notes (repeatable, at least one)").add_argument
    which("--subject-id", metavar="N", type=int, action="append", default=[], help="a patient")
    which("--subject-ids", metavar="FILE", type=Path, help="patients, one a line")
    which("--note-id", metavar="ID", action="append", default=[], help="a note")
    which("--note-ids", metavar="FILE", type=Path, help="notes, one a line")
    parser.add_argument("--dry-run", action="store_true", help="count only, remove nothing")
    parser.add_argument(
        "--vacuum",
        action="store_true",
        help="also remove old files, change data and log entries; no other run may be going",
    )
    add_note_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _purge(arguments))


def _purge(arguments: argparse.Namespace) -> int:
    request = read_request(arguments)
    settings = read_settings(arguments)
    root, source = root_of(settings), source_of(settings.notes)
    spark = start_session("clinspan-purge-notes")
    purge = purge_notes(spark, root, request, source, arguments.dry_run)
    show_purge(purge, arguments.dry_run)
    if request.subject_ids and source is None:
        console.print(
            "A note in which nothing was found stands in no table with its patient: repeat with "
            "--notes PATH, so that the patients' notes are looked up there as well"
        )
    if not arguments.dry_run:
        remains = remove_remains(spark, root) if arguments.vacuum else find_remains(spark, root)
        show_remains(remains, arguments.vacuum)
    return DONE


def read_request(arguments: argparse.Namespace) -> PurgeRequest:
    """The notes that the flags and the files name.

    Raises:
        SettingsError: a file cannot be read or holds something else, or nothing is named.
    """
    notes = [*arguments.note_id, *_read(arguments.note_ids, "--note-ids")]
    subjects = list(arguments.subject_id)
    for number, line in enumerate(_read(arguments.subject_ids, "--subject-ids"), start=1):
        try:
            subjects.append(int(line))
        except ValueError:
            raise SettingsError(
                f"--subject-ids {arguments.subject_ids}: id {number} is no whole number; give one "
                "a line"
            ) from None
    if not notes and not subjects:
        raise SettingsError(
            "nothing to remove: name notes with --note-ids FILE or patients with --subject-ids FILE"
        )
    return PurgeRequest(tuple(notes), tuple(subjects))


def _read(path: Path | None, flag: str) -> list[str]:
    return [] if path is None else read_ids(path, flag)


def show_purge(purge: Purge, dry_run: bool) -> None:
    """Prints what was removed or, in a dry run, what would be."""
    table = Table(title="Would be removed" if dry_run else "Removed")
    table.add_column("table")
    table.add_column("rows", justify="right")
    for name, rows in purge.rows.items():
        table.add_row(name, f"{rows:,}")
    console.print(table)
    if not any(purge.rows.values()):
        console.print("Nothing of these notes stands in any table")
    if purge.unknown_ids:
        console.print(f"{purge.unknown_ids:,} of the note ids stand in no table")
    if purge.unused_predictions:
        console.print(
            f"{purge.unused_predictions:,} predictions belong to no window of any note, such as of "
            "texts before an amendment; whose, nobody can tell: jobs/maintain_tables.py "
            "--drop-unused-predictions removes them"
        )
    if purge.notes and not dry_run:
        console.print(
            f"{purge.notes:,} notes: as long as the source holds them, the next extraction brings "
            "them back"
        )


def show_remains(remains: Sequence[Remains], vacuumed: bool) -> None:
    """Prints which files still hold removed rows or their ids, and how to remove them."""
    table = Table(title="What remains of the past")
    for name in ("table", "old files", "log entries"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for entry in remains:
        table.add_row(entry.table, f"{entry.old_files:,}", f"{entry.log_entries:,}")
    console.print(table)
    left = any(entry.old_files or entry.log_entries for entry in remains)
    if left and vacuumed:
        console.print(
            "Delta removes log entries of past days only: repeat with --vacuum tomorrow (UTC)"
        )
    elif left:
        console.print(
            "Old files, among them change data, hold removed rows with their text; statistics in "
            "log entries hold ids and times of rows. Repeat with --vacuum to remove both"
        )


if __name__ == "__main__":
    sys.exit(main())
