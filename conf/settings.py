"""The settings of one run of the extraction job, and how they are put together.

Owns: the order of sources (`defaults.yaml`, a preset, a file, the environment, flags, `--set`; the
later one wins), and the digest. Does not know the rules of single settings
(`setting_sections.py`), the wording of faults (`faults.py`) or Spark.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from conf.entity_types import load_entity_types
from conf.faults import SettingsError, describe_faults, did_you_mean
from conf.layers import Layer, nested, parse_overrides, stack
from conf.setting_sections import (
    PLACES_MAY_BE_MISSING,
    EntitySettings,
    ModelSettings,
    NoteSettings,
    OutputSettings,
    RunSettings,
    Section,
    SecuritySettings,
)
from conf.strict_yaml import parse_mapping, read_mapping, write_yaml

__all__ = ["Settings", "SettingsError", "load_settings", "preset_names"]

DEFAULT_PRESET = "mimic4"
HASH_KEY_FILE_VARIABLE = "CLINSPAN_HASH_KEY_FILE"
# Where things lie, what a run is called, and how it waits and reports. The `runs` table records
# input and model in columns of their own, and the same work in another folder is the same work.
NOT_IN_DIGEST: dict[str, set[str] | bool] = {
    "notes": {"path", "table", "withdrawn_list", "changed_only"},
    "output": True,
    "model": {"folder", "distribute", "hang_seconds"},
    "run": {
        "app_name",
        "show_entities",
        "plan",
        "price_per_hour",
        "trigger",
        "checkpoint",
        "wait_seconds",
    },
    "security": True,
}


class Settings(Section):
    """All settings of one run, checked. Made by `load_settings`; cannot be changed."""

    notes: NoteSettings
    output: OutputSettings
    model: ModelSettings
    entities: EntitySettings
    run: RunSettings
    security: SecuritySettings

    def to_yaml(self) -> str:
        """Returns the settings as a file that `--config` reads back to equal settings."""
        return write_yaml(self.model_dump(mode="json", by_alias=True))

    def digest(self) -> str:
        """Returns the sha256 (hex) of what changes results or behaviour, entity types included."""
        values = self.model_dump(mode="json", by_alias=True, exclude=dict(NOT_IN_DIGEST))
        values["entity_types"] = load_entity_types()
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def preset_names() -> list[str]:
    """Returns the names that `--preset` takes."""
    entries = files("conf").joinpath("presets").iterdir()
    return sorted(
        entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml")
    )


def load_settings(
    preset: str | None,
    config: Path | None,
    overrides: Sequence[str],
    flags: Mapping[str, object],
    *,
    places_may_be_missing: bool = False,
) -> Settings:
    """Reads all sources, merges the later over the earlier and checks the result.

    Args:
        preset: the name of a preset, or None for the default one.
        config: a settings file, or None.
        overrides: `section.key=value` texts of `--set`.
        flags: {"section.key": value}, None where a flag was not given.
        places_may_be_missing: lets the notes and the output be unset, for showing settings.

    Raises:
        SettingsError: the settings cannot be used; it holds every fault of every source.
    """
    sources: list[Callable[[], Layer]] = [
        lambda: _packaged("defaults.yaml", "defaults.yaml"),
        lambda: _preset_layer(preset or DEFAULT_PRESET),
        lambda: Layer(str(config), read_mapping(config) if config else {}),
        lambda: nested(
            HASH_KEY_FILE_VARIABLE,
            {"security.hash_key_file": os.environ.get(HASH_KEY_FILE_VARIABLE) or None},
        ),
        lambda: nested("the command line", flags),
    ]
    faults: list[str] = []
    layers: list[Layer] = []
    for read in sources:
        try:
            layers.append(read())
        except SettingsError as error:
            faults.extend(error.faults)
    override_layer, override_faults = parse_overrides(overrides)
    layers.append(override_layer)
    faults.extend(override_faults)
    values, origins = stack(layers)
    # A source that could not be read may be the one that names the places.
    context = {PLACES_MAY_BE_MISSING: places_may_be_missing or bool(faults)}
    try:
        settings = Settings.model_validate(values, context=context)
    except ValidationError as error:
        faults.extend(describe_faults(error, Settings, values, origins))
    if faults:
        raise SettingsError(*faults)
    return settings


def _packaged(name: str, origin: str) -> Layer:
    text = files("conf").joinpath(name).read_text(encoding="utf-8")
    return Layer(origin, parse_mapping(text, name))


def _preset_layer(name: str) -> Layer:
    names = preset_names()
    if name not in names:
        other = "columns of your own go into a --config file, notes.columns"
        guess = did_you_mean(name, names) or other
        raise SettingsError(f"--preset {name!r}: must be one of {', '.join(names)}; {guess}")
    return _packaged(f"presets/{name}.yaml", f"preset {name}")
