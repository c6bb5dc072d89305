import re
from pathlib import Path

import pytest

from conf.faults import walk_settings
from conf.settings import Settings, SettingsError
from conf.strict_yaml import parse_mapping
from jobs.command_line.extraction_options import FLAG_KEYS, build_parser, parse_settings

PLACES = ["--notes", "notes.parquet", "--output", "root"]


def test_flags_set_their_settings():
    settings = parse_settings(
        [
            *("--notes-table", "a.b", "--format", "delta", "--preset", "mimic3", "--limit", "7"),
            *("--output-schema", "c.s", "--model", "m"),
            *("--set", "run.partitions=2", "--set", "entities.min_score=0.5"),
        ]
    )
    assert (settings.notes.table, settings.notes.path) == ("a.b", None)
    assert (settings.notes.format, settings.notes.limit) == ("delta", 7)
    assert settings.notes.columns.note_id == "ROW_ID"
    assert settings.output.schema_name == "c.s"
    assert Path(settings.model.folder).name == "m"
    assert (settings.run.partitions, settings.entities.min_score) == (2, 0.5)


def test_config_and_paths(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("notes: {path: of-file, limit: 3}\n")
    settings = parse_settings([*PLACES, "--config", str(config)])
    assert (settings.notes.path, settings.notes.limit) == ("notes.parquet", 3)


def test_every_flag_sets_a_setting_that_exists():
    assert set(FLAG_KEYS.values()) <= {key for key, _ in walk_settings(Settings)}
    destinations = {action.dest for action in build_parser()._actions}
    assert destinations - set(FLAG_KEYS) == {"help", "preset", "config", "set", "show_settings"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--notes", "a", "--notes-table", "b"],
        ["--output", "a", "--output-schema", "b"],
        [*PLACES, "--limit", "many"],
        [*PLACES, "--lim", "5"],
        [*PLACES, "--unknown"],
        [*PLACES, "stray"],
        ["--notes"],
    ],
)
def test_bad_flags_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_settings(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--notes", "a"], [*PLACES, "--format", "xml"]])
def test_bad_settings_raise(arguments):
    with pytest.raises(SettingsError):
        parse_settings(arguments)


def test_show_settings_prints_yaml_that_is_in_force(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_settings([*PLACES, "--show-settings", "--limit", "9"])
    assert caught.value.code == 0
    shown = parse_mapping(capsys.readouterr().out, "shown")
    assert shown["notes"]["path"] == "notes.parquet"
    assert shown["notes"]["limit"] == 9


def test_show_settings_works_before_anything_is_chosen_but_not_with_faults(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_settings(["--show-settings"])
    assert caught.value.code == 0
    assert parse_mapping(capsys.readouterr().out, "shown")["notes"]["path"] is None
    with pytest.raises(SettingsError):
        parse_settings(["--show-settings", "--limit", "0"])


def test_help_has_a_line_for_each_flag_and_examples_that_parse():
    parser = build_parser()
    assert all(action.help for action in parser._actions)
    text = parser.epilog.replace("\\\n", " ")
    examples = re.findall(r"^  %\(prog\)s (.*)$", text, flags=re.M)
    assert len(examples) == 3
    for example in examples:
        arguments = [part.strip("'") for part in re.findall(r"'[^']*'|\S+", example)]
        arguments = [part for part in arguments if part not in ("--config", "site.yaml")]
        assert parse_settings(arguments)
