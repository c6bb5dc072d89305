"""Merges the sources of settings and remembers which source set which value.

Owns: the order of merging, the shape of `section.key=value`, and the rule for two exclusive places
(a path or a table): a later source that names one of them unsets the other. Does not know which
values are right.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from conf.faults import HIDDEN, SettingsError, is_secret
from conf.strict_yaml import parse_yaml

EXCLUSIVE = (("notes", "path", "table"), ("output", "path", "schema"))


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings: `origin` is its name in messages, `values` is nested by section."""

    origin: str
    values: Mapping[str, Any]


def nested(origin: str, dotted: Mapping[str, object]) -> Layer:
    """Returns a layer from {"section.key": value}; None means "not given", a path becomes text."""
    given = {
        key: fspath(value) if isinstance(value, PathLike) else value
        for key, value in dotted.items()
        if value is not None
    }
    return Layer(origin, _nest(list(given.items())))


def parse_overrides(overrides: Sequence[str]) -> tuple[Layer, list[str]]:
    """Returns the layer of all good `section.key=value` texts, and one line for each bad one.

    Values are YAML. If a key is given twice, the last value counts.
    """
    faults: list[str] = []
    items: list[tuple[str, object]] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not all(part.strip() for part in key.split(".")):
            shown = HIDDEN if is_secret(override) else repr(override)
            mend = "for example --set notes.limit=1000"
            faults.append(f"--set {shown}: must be section.key=value; {mend}")
            continue
        try:
            mend = f"""for text with special characters: --set '{key}="…"'"""
            items.append((key, parse_yaml(text, f"--set {key}", mend)))
        except SettingsError as error:
            faults.extend(error.faults)
    return Layer("--set", _nest(items)), faults


def stack(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Merges layers, later over earlier; sections merge, all other values (lists too) are replaced.

    Returns:
        The merged values, and {dotted key: origin}, which says which source set each value.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        _take_back_other_places(merged, layer.values)
        _lay(merged, layer.values, "", layer.origin, origins)
    return merged, origins


def _nest(items: Sequence[tuple[str, object]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for dotted, value in items:
        branch: object = value
        for part in reversed(dotted.split(".")):
            branch = {part: branch}
        _lay(tree, branch, "", "", {})  # type: ignore[arg-type]  # split() gives one part at least: a dict
    return tree


def _lay(
    below: dict[str, Any],
    over: Mapping[str, Any],
    prefix: str,
    origin: str,
    origins: dict[str, str],
) -> None:
    for key, value in over.items():
        name = f"{prefix}{key}"
        if isinstance(below.get(key), dict) and isinstance(value, Mapping):
            _lay(below[key], value, f"{name}.", origin, origins)
        else:
            below[key] = deepcopy(value)
            origins[name] = origin


def _take_back_other_places(merged: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Unsets the other exclusive place: `--notes PATH` replaces the table that a file names."""
    for section, one, other in EXCLUSIVE:
        below, new = merged.get(section), over.get(section)
        if not isinstance(below, dict) or not isinstance(new, Mapping):
            continue
        for named, silent in ((one, other), (other, one)):
            if new.get(named) is not None and silent not in new and silent in below:
                below[silent] = None
