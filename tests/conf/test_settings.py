import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import conf.setting_sections
import conf.settings
from conf.faults import section_class, walk_settings
from conf.settings import Settings, SettingsError, load_settings, preset_names
from conf.shipped_model import PROJECT_ROOT
from conf.strict_yaml import read_mapping
from tests.support.places import SHIPPED

CONF = Path(conf.settings.__file__).parent
PLACES = {"notes.path": "notes.parquet", "output.path": "root"}
FIELDS = dict(walk_settings(Settings))


def keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")


# --- the files and the models agree


def test_defaults_hold_every_key_of_the_models_and_no_other():
    assert list(keys(read_mapping(CONF / "defaults.yaml"))) == list(FIELDS)


def test_no_model_has_a_default_of_its_own():
    assert [key for key, field in FIELDS.items() if not field.is_required()] == []


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_sets_every_column_and_nothing_else(name):
    columns = {key for key in FIELDS if key.startswith("notes.columns.")}
    preset = read_mapping(CONF / "presets" / f"{name}.yaml")
    assert set(keys(preset)) == columns | {"notes", "notes.columns"}


@pytest.mark.parametrize("key", [key for key, field in FIELDS.items() if not section_class(field)])
def test_every_setting_has_a_rule_in_words_and_an_example_that_is_accepted(key, tmp_path):
    field = FIELDS[key]
    assert field.description
    config = tmp_path / "places.yaml"
    config.write_text("notes: {path: notes.parquet}\noutput: {path: root}\n")
    assert load_settings(None, config, [], {key: field.examples[0]}).digest()


def test_defaults_are_the_documented_ones(load):
    settings = load()
    assert settings.model.model_dump() == {
        "folder": str(SHIPPED),
        "engine": "torch",
        "device": "auto",
        "precision": "auto",
        "tokens_per_batch": 4096,
        "distribute": "auto",
        "buffer_windows": 4096,
        "hang_seconds": 120.0,
    }
    assert settings.run.model_dump() == {
        "app_name": "clinspan-extract",
        "partitions": "auto",
        "slice_seconds": 30.0,
        "trigger": "once",
        "checkpoint": None,
        "wait_seconds": 60.0,
        "max_quarantined_fraction": 0.05,
        "show_entities": 0,
        "plan": "none",
        "price_per_hour": None,
        "max_note_characters": 20_000_000,
    }
    assert settings.entities.model_dump() == {"labels": None, "min_score": 0.0}
    assert settings.notes.model_dump(exclude={"path", "table", "columns"}) == {
        "format": "auto",
        "limit": None,
        "since": None,
        "until": None,
        "withdrawn_list": None,
        "changed_only": False,
    }
    assert settings.security.hash_key_file == Path.home() / ".config/clinspan/hash_key"


def test_mimic4_is_the_preset_unless_another_is_named(load):
    assert load() == load(preset="mimic4")
    columns = load().notes.columns
    assert (columns.note_id, columns.charttime, columns.withdrawn) == (
        "note_id",
        ("charttime",),
        None,
    )


def test_mimic3_takes_the_chart_date_where_there_is_no_chart_time(load):
    columns = load(preset="mimic3").notes.columns
    assert (columns.note_id, columns.text, columns.note_type) == ("ROW_ID", "TEXT", ("CATEGORY",))
    assert columns.charttime == ("CHARTTIME", "CHARTDATE")
    assert columns.withdrawn == "ISERROR"


# --- the order of sources


def test_later_sources_win(load, tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("notes: {limit: 2, columns: {note_id: ID}}\nrun: {partitions: 2}\n")
    settings = load("notes.limit=4", "notes.limit=5", config=config, run__partitions=3)
    assert (settings.notes.limit, settings.run.partitions) == (5, 3)
    assert (settings.notes.columns.note_id, settings.notes.columns.text) == ("ID", "text")


def test_lists_are_replaced_not_merged(load):
    columns = load("notes.columns.charttime=[A]", preset="mimic3").notes.columns
    assert columns.charttime == ("A",)


def test_the_environment_lies_between_file_and_command_line(load, tmp_path, monkeypatch):
    config = tmp_path / "site.yaml"
    config.write_text("security: {hash_key_file: of-file}\n")
    monkeypatch.setenv("CLINSPAN_HASH_KEY_FILE", "")
    assert load(config=config).security.hash_key_file == Path("of-file")
    monkeypatch.setenv("CLINSPAN_HASH_KEY_FILE", "of-environment")
    assert load(config=config).security.hash_key_file == Path("of-environment")
    assert load("security.hash_key_file=of-set").security.hash_key_file == Path("of-set")


def test_a_flag_that_names_a_path_takes_a_table_of_the_file_back(tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("notes: {table: a.b}\noutput: {path: root}\n")
    settings = load_settings(None, config, [], {"notes.path": Path("x"), "output.schema": "c.s"})
    assert (settings.notes.path, settings.notes.table) == ("x", None)
    assert (settings.output.path, settings.output.schema_name) == (None, "c.s")


def test_no_place_is_a_fault_unless_it_may_be_missing():
    with pytest.raises(SettingsError) as caught:
        load_settings(None, None, [], {})
    assert [fault.split(" = ")[0] for fault in caught.value.faults] == [
        "notes.table",
        "output.schema",
    ]
    assert "--notes PATH or --notes-table NAME" in str(caught.value)
    settings = load_settings(None, None, [], {}, places_may_be_missing=True)
    assert (settings.notes.path, settings.output.path) == (None, None)


# --- values


@pytest.mark.parametrize("name", ["t", "s.t", "c.s.t", "`odd name`.t", "delta.`/a/b`"])
def test_table_names(name):
    assert load_settings(None, None, [], {**PLACES, "notes.path": None, "notes.table": name})


def test_names_that_yaml_would_twist_stay_text(load):
    columns = load("notes.columns.subject_id=NO", "notes.columns.hadm_id=[y, on]").notes.columns
    assert (columns.subject_id, columns.hadm_id) == (("NO",), ("y", "on"))


def test_home_folders_are_expanded(load):
    settings = load(notes__path="~/notes", output__path="s3://bucket/~root")
    assert settings.notes.path == str(Path.home() / "notes")
    assert settings.output.path == "s3://bucket/~root"


def test_the_home_of_an_unknown_user_is_a_plain_name(load):
    settings = load("model.folder=~nobody_here/m", "security.hash_key_file=~nobody_here/key")
    assert settings.model.folder == str(PROJECT_ROOT / "~nobody_here/m")
    assert settings.security.hash_key_file == Path("~nobody_here/key")


def test_a_model_folder_is_taken_as_given_before_the_project_is_searched(
    load, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    project = PROJECT_ROOT
    assert load("model.folder=models/mine").model.folder == str(project / "models/mine")
    (tmp_path / "models/mine").mkdir(parents=True)
    assert load("model.folder=models/mine").model.folder == str(tmp_path / "models/mine")
    assert load("model.folder=/nowhere/x").model.folder == "/nowhere/x"
    registered = "models:/clinspan-ner@champion"
    assert load(f"model.folder={registered}").model.folder == registered


def test_settings_cannot_be_changed(load):
    with pytest.raises(ValidationError):
        load().run.partitions = 5


def test_settings_need_no_spark_and_no_torch():
    code = (
        "import sys, jobs.command_line.extraction_options\n"
        "jobs.command_line.extraction_options.parse_settings(['--notes', 'a', '--output', 'b'])\n"
        "assert not {'pyspark', 'torch', 'pandas'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2150-01-02", "2150-01-02 00:00:00"),
        ("2150-01-02 03:04", "2150-01-02 03:04:00"),
        ("2150-01-02T03:04:05", "2150-01-02 03:04:05"),
        ("2150-01-02T03:04:05+02:00", "2150-01-02 01:04:05"),
        ("2150-01-02T03:04:05Z", "2150-01-02 03:04:05"),
    ],
)
def test_a_time_may_be_written_in_any_usual_way(load, given, stored):
    assert load(f"notes.since={given}").notes.since == stored
    assert load(**{"notes.until": given}).notes.until == stored
