"""Files of a corpus as texts, lines and JSON records, and the checks that all forms share.

Every error names the file, the line or record and the rule, never a word of a text.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.corpora.documents import Document
from training.corpora.forms.code_units import CodeUnits
from udfs.errors import InputError
from udfs.spans import Mention

# Keys that may hold the id of a record; the first one that is there counts.
ID_KEYS = ("doc_id", "note_id", "id")


@dataclass(frozen=True, slots=True)
class Place:
    """A line or a record of a file, counted from 1."""

    path: Path
    number: int
    unit: str = "line"

    def broken(self, rule: str) -> InputError:
        """The error to raise where this place breaks a rule."""
        return InputError(f"{self.path}, {self.unit} {self.number}: {rule}")


def read_text(path: Path) -> str:
    """A file's text, with its line ends unchanged; `.gz` is unpacked.

    Raises:
        InputError: the file is missing, not UTF-8, or a damaged `.gz`.
    """
    if not path.is_file():
        raise InputError(f"corpus file {path} is missing")
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise InputError(f"{path}: not a gzip file, or cut off") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {number}: not UTF-8 (byte {error.start})") from None


def read_lines(path: Path) -> Iterator[tuple[Place, str]]:
    """The lines of a file without their ends.

    Only line feeds end a line: str.splitlines would also cut at U+2028 and move every offset behind
    it.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        yield Place(path, number), line.removesuffix("\r")


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return _parse(Place(path, 1), read_text(path).removeprefix("\ufeff"))


def read_records(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a JSON array, or of JSON Lines."""
    text = read_text(path).removeprefix("\ufeff")
    if text.lstrip().startswith("["):
        records = [
            (Place(path, number, "record"), record)
            for number, record in enumerate(_parse(Place(path, 1), text), start=1)
        ]
    else:
        lines = ((Place(path, n), line) for n, line in enumerate(text.split("\n"), start=1))
        records = [(place, _parse(place, line)) for place, line in lines if line.strip()]
    for place, record in records:
        yield place, mapping(place, record, "a record")


def _parse(place: Place, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = Place(place.path, place.number + error.lineno - 1)
        raise where.broken(f"not JSON: {error.msg}, column {error.colno}") from None
    except RecursionError:
        raise place.broken("not JSON that can be read: nested too deep") from None
    except ValueError:
        raise place.broken("not JSON that can be read: too long a number") from None


def mapping(place: Place, value: object, name: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise place.broken(f"{name} must be an object")
    return value


def sequence(place: Place, value: object, name: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise place.broken(f"{name} must be a list")
    return value


def string(place: Place, value: object, name: str) -> str:
    """A string without lone surrogates; JSON can hold half of a surrogate pair."""
    if not isinstance(value, str):
        raise place.broken(f"{name} must be a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise place.broken(
            f"{name} holds half of a surrogate pair, which is no character"
        ) from None
    return value


def whole_number(place: Place, value: object, name: str) -> int:
    """An integer that is not a bool."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise place.broken(f"{name} must be a whole number")
    return value


def identifier(place: Place, value: object, name: str) -> int | str:
    """The id that a tool gives an annotation."""
    if not isinstance(value, int | str):
        raise place.broken(f"{name} must be a number or a string")
    return value


def code_point_offset(place: Place, value: object, units: CodeUnits | None) -> int:
    """The code-point offset for an offset of a file.

    `units` is None where the file counts code points, else it converts from UTF-16 code units.
    """
    offset = whole_number(place, value, "an offset")
    if units is None:
        return offset
    point = units.to_code_point(offset)
    if point is None:
        raise place.broken(f"offset {offset} must be a border of a character, in UTF-16 units")
    return point


def record_id(place: Place, record: dict[str, Any]) -> str:
    """The record's own id, else `<file>:<number>`."""
    for key in ID_KEYS:
        value = record.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return string(place, value, key)
    return f"{place.path.name}:{place.number}"


def checked_mention(
    place: Place, text: str, begin: int, end: int, label: str, quoted: str | None = None
) -> Mention:
    """A mention in one piece, checked against the text.

    Its offsets must lie inside the text. `quoted`, if the file quotes the mention, must equal the
    text between them. A mention may be empty: JSON forms can hold one, and the report counts it.

    Raises:
        InputError: the offsets, the quoted text or the label break one of these rules.
    """
    if not 0 <= begin <= end <= len(text):
        raise place.broken(
            f"offsets {begin}-{end} must lie inside the text of {len(text)} characters"
        )
    if quoted is not None and text[begin:end] != quoted:
        raise place.broken(f"the mention differs from the text at {begin}-{end}")
    if not label:
        raise place.broken("the label is empty")
    return Mention(begin, end, label)


def checked_fragments(place: Place, text: str, pieces: Iterable[tuple[int, int]]) -> None:
    """Refuses pieces that are empty, touch, overlap or are not in text order.

    Raises:
        InputError: a piece breaks one of these rules, or lies outside the text.
    """
    before = -1
    for begin, end in pieces:
        if not before < begin < end <= len(text):
            raise place.broken(
                "fragments must stand in text order, apart, not empty and inside the text of "
                f"{len(text)} characters"
            )
        before = end


def refuse_repeated_ids(path: Path, documents: Iterable[Document]) -> None:
    """Refuses two documents with the same id.

    Raises:
        InputError: there are such documents.
    """
    number_of: dict[str, int] = {}
    for number, document in enumerate(documents, start=1):
        first = number_of.setdefault(document.doc_id, number)
        if first != number:
            raise InputError(f"{path}: documents {first} and {number} have the same id")


def write_json_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes one record a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_json_array(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes one array, a record a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for number, record in enumerate(records):
            file.write(("," if number else "") + "\n" + json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")
