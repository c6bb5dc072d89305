"""Write the tables of columns in docs/ from their declarations; `make docs` runs it.

udfs/table_columns.py declares the columns. In each document, everything between two marker lines is
replaced; the rest is left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from conf.shipped_model import PROJECT_ROOT
from jobs.command_line.exit_codes import exit_code
from udfs.errors import InputError
from udfs.table_columns import TABLES, Column, Sensitivity

JOB = "column_docs"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _write(arguments.docs))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Write the tables of columns in the docs from udfs/table_columns.py.",
        allow_abbrev=False,
    )
    docs = PROJECT_ROOT / "docs"
    parser.add_argument(
        "--docs", metavar="FOLDER", type=Path, default=docs, help="the folder of the docs"
    )
    return parser


def _write(docs: Path) -> None:
    for name in GENERATED:
        path = docs / name
        text = path.read_text(encoding="utf-8")
        if (made := with_columns(name, text)) != text:
            path.write_text(made, encoding="utf-8")
            print(f"{path}: written anew")


def with_columns(name: str, text: str) -> str:
    """The document with its generated part replaced.

    Args:
        name: a key of `GENERATED`.
        text: the document.

    Raises:
        InputError: the marker lines of the document are missing.
    """
    marker, rows = GENERATED[name]
    begin, end = f"<!-- {marker}: begin -->\n", f"<!-- {marker}: end -->\n"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise InputError(f"{name} must hold the lines {begin.strip()} and {end.strip()}")
    return before + begin + "\n" + "".join(f"{row}\n" for row in rows()) + "\n" + end + after


def column_rows() -> Iterator[str]:
    """Every column with its type and meaning, one table of Markdown for each table."""
    for table, columns in TABLES.items():
        yield f"#### `{table}`"
        yield ""
        yield "| column | type | null | meaning |"
        yield "| --- | --- | --- | --- |"
        for column in columns:
            null = "yes" if column.nullable else ""
            yield f"| `{column.name}` | {_type(column)} | {null} | {column.meaning} |"
        if table != next(reversed(TABLES)):
            yield ""


def sensitivity_rows() -> Iterator[str]:
    """The sensitivity of each table's columns; columns with statistics are bold."""
    yield "| table | what it holds | columns |"
    yield "| --- | --- | --- |"
    for table, columns in TABLES.items():
        for kind in Sensitivity:
            names = [
                f"**`{column.name}`**" if column.statistics else f"`{column.name}`"
                for column in columns
                if column.sensitivity == kind
            ]
            if names:
                yield f"| `{table}` | {kind.value} | {', '.join(names)} |"


def _type(column: Column) -> str:
    return {
        "int32": "int",
        "int64": "bigint",
        "float": "float",
        "double": "double",
        "string": "string",
        "timestamp[us, tz=UTC]": "timestamp",
    }.get(str(column.kind), "array of structs")


GENERATED: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "tables.md": ("columns", column_rows),
    "security.md": ("sensitivity", sensitivity_rows),
}


if __name__ == "__main__":
    sys.exit(main())
