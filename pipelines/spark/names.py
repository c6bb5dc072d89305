"""Names and places as Spark's SQL writes them."""

from __future__ import annotations

import re
from pathlib import Path

from udfs.errors import InputError

# A scheme has at least two characters, as in `dbfs:/`; Spark, too, takes such a start for one.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_NAME_PART = re.compile(r"`((?:[^`]|``)+)`|(\w+)")


def quote(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def name_parts(name: str) -> tuple[str, ...]:
    """The parts of `table`, `schema.table` or `catalog.schema.table`, without backticks.

    Raises:
        InputError: the name has none of these forms.
    """
    parts, position = [], 0
    while match := _NAME_PART.match(name, position):
        parts.append(match[2] or match[1].replace("``", "`"))
        position = match.end()
        if position == len(name) and len(parts) <= 3:
            return tuple(parts)
        if name[position : position + 1] != ".":
            break
        position += 1
    raise InputError(
        f"{name} is no name of a table: it must be table, schema.table or catalog.schema.table, "
        "with backticks round a part that holds other than letters, digits and _"
    )


def sql_table(name: str) -> str:
    """Quotes the name of a table, as a user writes it, for a query: every part in backticks."""
    return ".".join(quote(part) for part in name_parts(name))


def local_path(path: str) -> Path | None:
    """The place on this machine that a path or a `file:` URI names; None: it is elsewhere."""
    if path.startswith("file:"):
        place = Path(path.removeprefix("file://").removeprefix("file:")).absolute()
    elif _SCHEME.match(path):
        return None
    else:
        place = Path(path).absolute()
    # After a symbolic link, Hadoop resolves ".." to another folder than the file system does.
    return place.resolve() if ".." in place.parts else place
