"""The flags that the jobs on the tables of a root share.

They mean the same as in `extract_entities`, and their values go through the same settings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from conf.setting_sections import NoteSettings
from conf.settings import Settings, load_settings, preset_names
from jobs.command_line.source_values import note_source
from pipelines.source.note_source import NoteSource
from pipelines.tables.table_root import TableRoot

# The attribute of each flag → the setting that it sets.
_SETTINGS = {
    "notes": "notes.path",
    "notes_table": "notes.table",
    "format": "notes.format",
    "output": "output.path",
    "output_schema": "output.schema",
}


def root_parser(description: str, epilog: str = "") -> argparse.ArgumentParser:
    """A parser with the flags that name the place of the tables.

    Abbreviations are off, so that a new flag cannot change an old command.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root = parser.add_argument_group("tables").add_mutually_exclusive_group(required=True)
    root.add_argument("--output", metavar="PATH", help="the folder that holds the tables")
    root.add_argument(
        "--output-schema", metavar="NAME", help="the schema or catalog.schema that holds them"
    )
    return parser


def add_note_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that name a source of notes; none is required."""
    group = parser.add_argument_group("the notes that the tables were made from")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--notes", metavar="PATH", help="a file or folder of notes")
    source.add_argument("--notes-table", metavar="NAME", help="a catalog table of notes")
    group.add_argument("--format", metavar="NAME", help="auto (default), parquet, delta, json, csv")
    presets = " or ".join(preset_names())
    group.add_argument("--preset", metavar="NAME", help=f"columns of a known source: {presets}")
    group.add_argument("--config", metavar="FILE", type=Path, help="a YAML file of settings")
    group.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="one setting, as YAML; repeatable",
    )


def read_settings(arguments: argparse.Namespace) -> Settings:
    """The settings that these flags ask for.

    Raises:
        SettingsError: the settings cannot be used.
    """
    given = vars(arguments)
    return load_settings(
        given.get("preset"),
        given.get("config"),
        given.get("set", ()),
        {key: given.get(attribute) for attribute, key in _SETTINGS.items()},
        places_may_be_missing=True,
    )


def root_of(settings: Settings) -> TableRoot:
    """The place of the tables."""
    return TableRoot.at(settings.output.path, settings.output.schema_name)


def source_of(notes: NoteSettings) -> NoteSource | None:
    """The source of notes, or None where none is named."""
    if notes.path is None and notes.table is None:
        return None
    return note_source(notes)
