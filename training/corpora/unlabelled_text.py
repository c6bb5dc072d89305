"""Unlabelled texts from files: text files, folders of them, and JSON Lines."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from training.corpora.forms.source_lines import read_lines, read_records, read_text, string
from udfs.errors import InputError


def read_texts(paths: Sequence[Path], text_key: str, each_line: bool = False) -> list[str]:
    """The texts of files.

    A `.txt` file is one text (with `each_line`, each of its lines is one); a `.jsonl` file has one
    text in each record. Both may be gzipped. A folder means all such files in it and below it, in
    order of their names.

    Raises:
        InputError: a path is neither such a file nor a folder with some, a record has no text, or
            there is no text at all.
    """
    files = [file for path in paths for file in _files(path)]
    texts = [text for file in files for text in _read(file, text_key, each_line)]
    if not any(text.strip() for text in texts):
        raise InputError("there is no text in the files that were named")
    return texts


def digest_texts(texts: Sequence[str]) -> str:
    """sha256 of the texts in order."""
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if file.is_file() and _kind(file)]
    else:
        found = [path] if path.is_file() and _kind(path) else []
    if not found:
        raise InputError(f"{path} must be a .txt or .jsonl file, or a folder that holds some")
    return found


def _kind(file: Path) -> str:
    name = file.name.removesuffix(".gz")
    return next((kind for kind in (".txt", ".jsonl") if name.endswith(kind)), "")


def _read(file: Path, text_key: str, each_line: bool) -> list[str]:
    if _kind(file) == ".txt":
        return [line for _, line in read_lines(file)] if each_line else [read_text(file)]
    return [string(place, record.get(text_key), text_key) for place, record in read_records(file)]
