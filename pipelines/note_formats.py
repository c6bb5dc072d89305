"""Which format a source of notes has, told from its name or from what a local folder holds."""

from __future__ import annotations

from pathlib import Path

from pipelines.table_root import local_path
from udfs.errors import InputError

FORMATS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


def detect_format(path: str) -> str:
    """``parquet``, ``delta`` or ``json``, from the name, or from what a local folder holds.

    Raises:
        InputError: there is nothing at a local path, or its kind cannot be told.
    """
    folder = local_path(path)
    if folder is not None and (folder / "_delta_log").is_dir():
        return "delta"
    if named := _format_of_name(path):
        return named
    if folder is None:
        # It might be a Delta table, whose Parquet files hold deleted rows, too.
        raise InputError(f"{path} does not tell its format: say --format parquet, delta or json")
    if not folder.exists():
        raise InputError(f"no notes at {path}: nothing is there; check --notes")
    kinds = sorted({kind for file in visible_files(folder) if (kind := _format_of_name(file.name))})
    if len(kinds) == 1:
        return kinds[0]
    found = "several kinds of files" if kinds else "no Parquet, Delta or JSON Lines files"
    raise InputError(f"{path} holds {found}: say which with --format parquet, delta or json")


def visible_files(folder: Path) -> list[Path]:
    """The files that Spark would see in a folder, relative to it: none that is hidden."""
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return [f for f in found if not any(part.startswith(("_", ".")) for part in f.parts)]


def _format_of_name(name: str) -> str | None:
    stem = name.lower().rstrip("/").removesuffix(".gz").removesuffix(".bz2").removesuffix(".zst")
    return next((kind for suffix, kind in FORMATS.items() if stem.endswith(suffix)), None)
