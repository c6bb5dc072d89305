"""Refuses notes that overlap with the tables, by their paths and names alone."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase
from pathlib import PurePath

from pipelines.spark.names import local_path, name_parts
from pipelines.tables.definitions import TABLES
from pipelines.tables.table_root import TableRoot
from udfs.errors import InputError


def refuse_overlap(root: TableRoot, path: str | None, table: str | None) -> None:
    """Refuses notes that overlap with the tables of the root.

    Otherwise a run would read tables as notes, and its input would grow by its own rows.

    Raises:
        InputError: the notes are a table of the root, or the root lies in the notes' folder.
    """
    if path is not None and root.path is not None:
        tables = _place(root.path)
        if _is_in(tables, path):
            raise InputError(
                f"the output {root.path} lies in the notes {path}: the next run would find its "
                "tables among the notes; give --output a place outside"
            )
        own = any(
            _place(path).is_relative_to(tables / entry.name)
            or _is_in(tables / entry.name / "part-0.parquet", path)
            for entry in TABLES
        )
    else:
        own = table is not None and root.schema is not None and _is_table_of(root.schema, table)
    if own:
        raise InputError(
            f"the notes {path or table} are a table that this job writes below "
            f"{root.describe()}: give the notes that it was made from"
        )


def _place(path: str) -> PurePath:
    local = local_path(path)
    return PurePath(posixpath.normpath(path)) if local is None else local.resolve()


def _is_in(place: PurePath, notes: str) -> bool:
    """Whether Spark would find a place when it reads the notes, which may be a pattern."""
    folder, local = _place(notes), local_path(notes)
    if local is not None and local.exists():
        return place.is_relative_to(folder)
    return any(
        len(pattern.parts) <= len(place.parts) and all(map(fnmatchcase, place.parts, pattern.parts))
        for pattern in map(PurePath, _alternatives(str(folder)))
    )


def _alternatives(pattern: str) -> list[str]:
    """Expands braces as Hadoop does: `a{b,c}` is `ab` and `ac`; `fnmatch` does not know them."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        return [pattern]
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    return [a for middle in braces[1].split(",") for a in _alternatives(before + middle + after)]


def _is_table_of(schema: str, table: str) -> bool:
    notes = [part.lower() for part in name_parts(table)]
    notes = ["default", *notes] if len(notes) == 1 else notes  # the schema of a new session
    own = [part.lower() for part in schema.split(".")]
    parts = min(len(notes) - 1, len(own))  # either may leave the catalog out
    return notes[-1] in {entry.name for entry in TABLES} and notes[-1 - parts : -1] == own[-parts:]
