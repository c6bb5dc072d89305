"""Which format a source of notes has, told from its name or from what a local folder holds."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.spark.names import local_path
from udfs.errors import InputError

FORMATS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
}
_CHOICE = "--format parquet, delta, json or csv"


def detect_format(path: str) -> str:
    """`parquet`, `delta`, `json` or `csv`: from the name, or from what a folder holds.

    Raises:
        InputError: there is nothing at a local path, or its format cannot be told.
    """
    folder = local_path(path)
    if folder is not None and (folder / "_delta_log").is_dir():
        return "delta"
    if named := format_of_name(path):
        return named
    if folder is None:
        # It might be a Delta table, whose Parquet files hold deleted rows, too.
        raise InputError(f"{path} does not tell its format: say {_CHOICE}")
    if not folder.exists():
        raise InputError(f"no notes at {path}: nothing is there; check --notes")
    files = visible_files(folder)
    kinds = sorted({kind for file in files if (kind := format_of_name(file.name))})
    if len(kinds) == 1:
        return kinds[0]
    if not kinds and any(file.suffix.lower() == ".txt" for file in files):
        raise InputError(f"{path} holds text files: jobs/import_notes.py makes a table of them")
    found = "several kinds of files" if kinds else "no Parquet, Delta, JSON Lines or CSV files"
    raise InputError(f"{path} holds {found}: say which with {_CHOICE}")


def visible_files(folder: Path) -> list[Path]:
    """The files that Spark would see in a folder, relative to it; hidden ones are left out."""
    found: list[Path] = []
    known: set[str] = set()
    # Follow links to folders, as Spark does, but none that leads back.
    for place, folders, names in os.walk(folder, followlinks=True):
        known.add(os.path.realpath(place))
        folders[:] = [
            name
            for name in folders
            if not _is_hidden(name) and os.path.realpath(os.path.join(place, name)) not in known
        ]
        here = Path(place)
        found += [here / n for n in names if not _is_hidden(n) and (here / n).is_file()]
    return [file.relative_to(folder) for file in found]


def _is_hidden(name: str) -> bool:
    # "_year=2150" is a partition folder, which Spark reads.
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def format_of_name(name: str) -> str | None:
    """The format that a name tells, or None."""
    stem = name.lower().rstrip("/").removesuffix(".gz").removesuffix(".bz2").removesuffix(".zst")
    return next((kind for suffix, kind in FORMATS.items() if stem.endswith(suffix)), None)
