"""Import MIMIC's CSV files, or a folder of text files, into a Delta table of notes.

    spark-submit jobs/import_notes.py --notes NOTEEVENTS.csv.gz --output PATH

Parses the flags, recognises the columns by the header, calls `pipelines.imports.note_import`, shows
what was imported and maps the outcome to an exit code: 0 done, 1 failed, 2 bad settings or input
(nothing written). No message holds note text.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from conf.setting_sections import ColumnSettings
from conf.settings import load_settings, preset_names
from jobs.command_line.exit_codes import DONE, exit_code
from jobs.command_line.source_values import note_columns
from jobs.display.show_run import ConsoleProgress, console
from jobs.wiring.start_session import start_session
from pipelines.imports.import_records import NoteFiles, find_notes
from pipelines.imports.import_tables import REJECTED, ImportTarget
from pipelines.imports.note_import import ImportPlan, ImportRecord, import_notes
from udfs.errors import InputError

_EXAMPLES = """\
examples:
  %(prog)s --notes NOTEEVENTS.csv.gz --output mimic3-notes
  %(prog)s --notes discharge.csv.gz radiology.csv.gz --output-table mimic4.notes
  %(prog)s --notes folder-of-texts --output my-notes --overwrite

The table keeps the columns of the file; jobs/extract_entities.py reads it with the same --preset.
Rows that cannot be read go to a second table, PATH_rejected, with place and reason, without text.
"""
JOB = "import_notes"


def build_parser() -> argparse.ArgumentParser:
    """The flags; abbreviations are off, so that a new flag cannot change an old command."""
    parser = argparse.ArgumentParser(
        description="Import notes from CSV (also .gz, .bz2) or text files into a Delta table.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--notes",
        metavar="PATH",
        nargs="+",
        required=True,
        help="CSV files with one header, a folder of them, or a folder with *.txt files, on a "
        "disk that the driver and the workers see",
    )
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--output", metavar="PATH", help="the folder or URI of the new table")
    output.add_argument("--output-table", metavar="NAME", help="its name in the catalog")
    add("--overwrite", action="store_true", help="replace a table that is there, in one commit")
    presets = " or ".join(preset_names())
    add("--preset", metavar="NAME", help=f"{presets} (default: told from the header)")
    add("--config", metavar="FILE", type=Path, help="a YAML file with notes.columns")
    add(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="one setting, such as notes.columns.text=body; repeatable",
    )
    add(
        "--max-rejected",
        metavar="FRACTION",
        type=float,
        default=0.05,
        help="write nothing if more of the rows cannot be read (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _import(arguments))


def _import(arguments: argparse.Namespace) -> int:
    plan = make_plan(arguments)
    spark = start_session("clinspan-import")
    with ConsoleProgress() as progress:
        record = import_notes(spark, plan, progress)
    show_import(plan, record)
    return DONE


def make_plan(arguments: argparse.Namespace) -> ImportPlan:
    """The values of an import from its flags and the files' header.

    Raises:
        InputError: there are no notes, or the header does not tell which preset fits.
        SettingsError: the settings cannot be used.
    """
    if not 0 <= arguments.max_rejected <= 1:
        raise InputError(f"--max-rejected {arguments.max_rejected} must be from 0 to 1")
    target = ImportTarget.at(arguments.output, arguments.output_table)
    notes = find_notes(arguments.notes)
    if arguments.preset or arguments.config or arguments.set:
        columns = _columns(arguments.preset, arguments.config, arguments.set)
    else:
        columns = _columns(_preset_of(notes), None, ())
    return ImportPlan(
        notes=notes,
        columns=note_columns(columns),
        target=target,
        overwrite=arguments.overwrite,
        max_rejected_fraction=arguments.max_rejected,
    )


def _columns(preset: str | None, config: Path | None, overrides: Sequence[str]) -> ColumnSettings:
    settings = load_settings(preset, config, overrides, {}, places_may_be_missing=True)
    return settings.notes.columns


def _preset_of(notes: NoteFiles) -> str:
    """The one preset whose id and text columns are in the header."""
    header = {name.lower() for name in notes.header}
    fitting = [
        name
        for name in preset_names()
        if {(c := _columns(name, None, ())).note_id.lower(), c.text.lower()} <= header
    ]
    if len(fitting) != 1:
        raise InputError(
            f"the columns {', '.join(notes.header)} are those of {len(fitting)} presets: say "
            "which they are with --preset, or --set notes.columns.note_id=NAME and "
            "--set notes.columns.text=NAME"
        )
    return fitting[0]


def show_import(plan: ImportPlan, record: ImportRecord) -> None:
    """Prints what was imported, and where it is."""
    table = Table(title="Import done", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in summary_rows(record):
        table.add_row(name, f"{value:,}")
    console.print(table)
    target = plan.target
    console.print(f"Notes in {target.describe()}, rows as in the files: checked", markup=False)
    if record.rejected:
        console.print(f"Rejected rows in {target.describe(REJECTED)}", markup=False)


def summary_rows(record: ImportRecord) -> list[tuple[str, int]]:
    """Name and value of each line of the summary, in order."""
    return [
        ("rows in the files", record.rows),
        ("notes written", record.written),
        ("  marked as errors", record.withdrawn),
        ("  blank", record.blank),
        ("  without a charttime", record.without_charttime),
        ("    and without any date", record.without_time),
        *((f"  {name} unreadable, null now", n) for name, n in record.unreadable),
        ("rejected", record.rows - record.written),
        *((f"  {reason}", n) for reason, n in record.rejected),
        ("characters", record.characters),
        ("files of the table", record.files),
    ]


if __name__ == "__main__":
    sys.exit(main())
