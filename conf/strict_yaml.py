"""Reads and writes the small YAML that settings are made of.

Owns: which YAML is accepted. Only true and false are booleans (a column named `NO` stays text),
`1e-3` is a number, and dates stay text. A key given twice, an anchor, an alias or a tag is an
error, because each makes it hard to see which value counts. Does not know which settings exist.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from conf.faults import SettingsError

# (type, pattern of its plain scalars, their possible first characters)
_SCALARS = (
    ("null", r"(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", tuple("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)$", tuple("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$",
        tuple("-+.0123456789"),
    ),
)

_FILE_MEND = "a settings file holds `section:` and, indented below it, `key: value`"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012  (PyYAML's own class attribute, filled below)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in its stubs
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            _refuse("anchors, aliases and tags are not accepted", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                _refuse("a key must be text; put it in quotes", key_node.start_mark)
            if key in mapping:
                _refuse(f"the key {key!r} is given twice; keep one", key_node.start_mark)
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping


class _Dumper(yaml.SafeDumper):
    """Quotes text that PyYAML or `_Loader` would read as something else."""


for _type, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_type}", re.compile(_pattern), list(_first)
        )


def _refuse(problem: str, mark: yaml.Mark) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def parse_yaml(text: str, source: str, mend: str = _FILE_MEND) -> object:
    """Returns the one YAML document in `text`.

    Raises:
        SettingsError: the text is not plain YAML; the message names `source` and quotes no value.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or "not one YAML document"
    except yaml.reader.ReaderError as error:
        place, problem = f", character {error.position + 1}", str(error.reason)
    except (RecursionError, ValueError):  # Python reads no number of more than 4,300 digits
        place, problem = "", "it is nested too deep or holds too long a number"
    raise SettingsError(f"{source}{place}: must be plain YAML, but {problem}; {mend}")


def parse_mapping(text: str, source: str) -> dict[str, object]:
    """Returns a settings document; one without content (a file of comments) gives no keys.

    Raises:
        SettingsError: the text is not plain YAML, or not a mapping.
    """
    document = parse_yaml(text, source)
    if document is None:
        return {}
    if not isinstance(document, dict):
        rule = "must hold sections (`notes:`, `run:`, …) with keys below them"
        raise SettingsError(f"{source}: {rule}, but holds one {type(document).__name__}")
    return document


def read_mapping(path: Path) -> dict[str, object]:
    """Reads a settings file.

    Raises:
        SettingsError: it is missing, unreadable, not UTF-8 or not a mapping in plain YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: must be YAML in UTF-8, but is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        mend = "give --config a YAML file"
        raise SettingsError(f"{path}: cannot read this settings file ({reason}); {mend}") from None
    return parse_mapping(text, str(path))


def write_yaml(document: object) -> str:
    """Returns YAML that `parse_yaml` reads back unchanged if no text in it has a line break."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
