"""Says what is wrong with settings: the key, its value, where it came from, the rule and the mend.

Owns: SettingsError and the wording of its lines. The words of a rule are the field's
`description`, and its mend is the field's first example. Does not know which settings exist: it
walks whatever models it is given.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from shlex import quote
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

LONGEST_VALUE = 80
RULE = "setting_rule"  # the error type of a validator that words its rule and mend itself
HIDDEN = "(hidden)"
SECRET_WORDS = ("security", "key", "secret", "password")  # their value may be the hash key itself


class SettingsError(ValueError):
    """Settings that cannot be used. `faults` has a line for each; the message lists them all."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(["bad settings:", *(f"  - {fault}" for fault in faults)]))


def section_class(field: FieldInfo) -> type[BaseModel] | None:
    """Returns the model of a field that is a section, None for a plain setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def fields_by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Returns the fields of one section by the names that YAML uses."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def walk_settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yields (dotted key, field) of every section and setting, in order."""
    for key, field in fields_by_key(model).items():
        yield prefix + key, field
        section = section_class(field)
        if section is not None:
            yield from walk_settings(section, f"{prefix}{key}.")


def describe_faults(
    error: ValidationError,
    model: type[BaseModel],
    values: Mapping[str, Any],
    origins: Mapping[str, str],
) -> list[str]:
    """Returns one line per wrong key; a union whose branches all failed counts as one fault."""
    fields = dict(walk_settings(model))
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "extra_forbidden":
            key = ".".join(str(part) for part in detail["loc"])
            value, words = detail["input"], _unknown(key, list(fields))
        else:
            key = _known_key(detail["loc"], fields)
            value = _value_at(key, values)
            words = detail["msg"] if detail["type"] == RULE else _rule(key, fields[key])
        lines.setdefault(key, f"{key} = {_shown(key, value)}{_source(key, origins)}: {words}")
    return list(lines.values())


def _known_key(location: Sequence[int | str], fields: Mapping[str, FieldInfo]) -> str:
    """Returns the setting at a pydantic location, without list indices and union branches."""
    parts = [str(part) for part in location]
    while ".".join(parts) not in fields:
        parts.pop()
    return ".".join(parts)


def _value_at(key: str, values: Mapping[str, Any]) -> object:
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _source(key: str, origins: Mapping[str, str]) -> str:
    """Names the source that set the key, or that set the section around it as a whole."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        origin = origins.get(".".join(parts[:length]))
        if origin:
            return f" (from {origin})"
    return ""


def is_secret(name: str) -> bool:
    """Whether a value of this name is kept out of messages."""
    return any(word in name.lower() for word in SECRET_WORDS)


def _shown(key: str, value: object) -> str:
    if is_secret(key):
        return HIDDEN
    if isinstance(value, Mapping):  # its keys are enough to recognise it
        return f"{{{', '.join(f'{inner}: …' for inner in value)}}}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _rule(key: str, field: FieldInfo) -> str:
    section = section_class(field)
    if section is not None:
        return f"must be a section with the keys {', '.join(fields_by_key(section))}"
    example = json.dumps((field.examples or [None])[0], ensure_ascii=False).strip('"')
    return f"must be {field.description}; for example --set {quote(f'{key}={example}')}"


def did_you_mean(wrong: str, known: Sequence[str]) -> str:
    """Returns a question with the nearest names, those in the same section first; else "".

    Only the last parts of names are compared: a long section name would make all its keys alike.
    """
    section, _, last = wrong.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == section]
    elsewhere = [name for name in known if name not in beside]
    guesses: list[str] = []
    for names in (beside, elsewhere):
        by_last = {name.rpartition(".")[2]: name for name in names}
        guesses += [by_last[near] for near in get_close_matches(last.lower(), by_last, n=1)]
    return f"did you mean {' or '.join(guesses)}?" if guesses else ""


def _unknown(key: str, known: Sequence[str]) -> str:
    if key in known:  # a file has `notes.limit: 5` as a top-level key
        section, _, name = key.rpartition(".")
        mend = f"write `{section}:` and, indented below it, `{name}:`"
        return f"a dot does not reach into a section here; {mend}"
    guess = did_you_mean(key, known)
    if guess:
        return f"there is no such setting; {guess}"
    section = f"{key.rpartition('.')[0]}." if "." in key else ""
    names = [k for k in known if k.startswith(section) and "." not in k[len(section) :]]
    return f"there is no such setting; there is {', '.join(names)}"
