"""The command line of the extraction job.

Owns the flags, their help and which setting each one sets. Does not know which values are right
(`setting_sections.py`). Maps no error to an exit code: argparse exits with 2 by itself, and the
caller handles SettingsError.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from conf.settings import DEFAULT_PRESET, Settings, load_settings, preset_names

# The attribute of each parsed flag → the setting that it sets.
FLAG_KEYS = {
    "notes": "notes.path",
    "notes_table": "notes.table",
    "format": "notes.format",
    "limit": "notes.limit",
    "since": "notes.since",
    "until": "notes.until",
    "withdrawn": "notes.withdrawn_list",
    "changed_only": "notes.changed_only",
    "trigger": "run.trigger",
    "output": "output.path",
    "output_schema": "output.schema",
    "model": "model.folder",
    "engine": "model.engine",
    "show_entities": "run.show_entities",
    "plan": "run.plan",
}

_EXAMPLES = """\
examples:
  %(prog)s --notes discharge.parquet --output entities-root
  %(prog)s --notes NOTEEVENTS.jsonl --preset mimic3 --output entities-root --limit 1000
  %(prog)s --notes-table mimic.notes --output-schema main.clinspan --config site.yaml \\
      --set entities.min_score=0.5 --set 'notes.columns.charttime=[seen_at, written_at]'

Settings come from conf/defaults.yaml, then the preset, --config, the flags and --set; the later
one wins. conf/defaults.yaml says what each setting means.
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags; abbreviations are off, so that a new flag cannot change an old command."""
    parser = argparse.ArgumentParser(
        description="Extract entities from clinical notes into Delta tables. "
        "Only new and changed notes are processed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    source = parser.add_argument_group("notes").add_mutually_exclusive_group()
    source.add_argument("--notes", metavar="PATH", help="a file or folder of notes")
    source.add_argument("--notes-table", metavar="NAME", help="a catalog table of notes")
    parser.add_argument(
        "--format", metavar="NAME", help="auto (default), parquet, delta, json or csv"
    )
    presets = " or ".join(preset_names())
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help=f"columns of a known source: {presets} (default: {DEFAULT_PRESET})",
    )
    parser.add_argument("--limit", metavar="N", type=int, help="read at most N notes")
    part = parser.add_argument_group("daily runs")
    part.add_argument("--since", metavar="TIME", help="only notes stored from then on (UTC)")
    part.add_argument("--until", metavar="TIME", help="only notes stored before (UTC)")
    part.add_argument(
        "--changed-only",
        action="store_true",
        default=None,
        help="only what came into a Delta source since the last run with these settings",
    )
    part.add_argument("--withdrawn", metavar="FILE", help="ids of notes that lose their rows")
    part.add_argument(
        "--trigger", metavar="NAME", help="once (default) or available-now, a stream of Delta"
    )
    root = parser.add_argument_group("tables").add_mutually_exclusive_group()
    root.add_argument("--output", metavar="PATH", help="the folder that holds the tables")
    root.add_argument(
        "--output-schema", metavar="NAME", help="the schema or catalog.schema that holds them"
    )
    parser.add_argument("--model", metavar="FOLDER", help="a model package, or models:/NAME@ALIAS")
    parser.add_argument("--engine", metavar="NAME", help="torch (default) or spark_nlp")
    parser.add_argument(
        "--show-entities",
        metavar="N",
        type=int,
        help="print the N most frequent mentions at the end (text of notes)",
    )
    parser.add_argument(
        "--plan",
        metavar="NAME",
        help="what the run will have to do and how long it will take, from a sample: only "
        "(no table is written) or first (then runs, and says how far off it was)",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="a YAML file of settings")
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="one setting, as YAML; repeatable",
    )
    parser.add_argument(
        "--show-settings", action="store_true", help="print the settings in force and stop"
    )
    return parser


def parse_settings(argv: Sequence[str] | None = None) -> Settings:
    """The settings that the arguments ask for (None: the arguments of this process).

    Raises:
        SettingsError: the settings cannot be used.
        SystemExit: with 2 for bad flags, with 0 after --help and --show-settings.
    """
    arguments = build_parser().parse_args(argv)
    settings = load_settings(
        arguments.preset,
        arguments.config,
        arguments.set,
        {key: getattr(arguments, attribute) for attribute, key in FLAG_KEYS.items()},
        places_may_be_missing=arguments.show_settings,
    )
    if arguments.show_settings:
        print(settings.to_yaml(), end="")
        raise SystemExit(0)
    return settings
