"""The texts of a JSON Lines file of notes: two models are compared on them, and none is kept."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import IO

from udfs.errors import InputError

TEXT_KEYS = ("text", "TEXT")  # the names of MIMIC-IV-Note and of MIMIC-III


def read_note_texts(path: Path, limit: int | None = None) -> list[str]:
    """The texts in order of the file, at most `limit` of them; blank and null ones are left out.

    Raises:
        InputError: the file cannot be read or has no text, or a line is not an object with a text.
            The message quotes nothing of the file.
    """
    texts: list[str] = []
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if limit is not None and len(texts) >= limit:
                    break
                text = _text(path, number, line)
                if text and not text.isspace():
                    texts.append(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"notes {path} cannot be read ({type(error).__name__})") from None
    if not texts:
        raise InputError(f"notes {path}: there is no text in it")
    return texts


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")


def _text(path: Path, number: int, line: str) -> str | None:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    keys = [key for key in TEXT_KEYS if isinstance(record, dict) and key in record]
    text = record[keys[0]] if keys else 0
    if text is not None and not isinstance(text, str):
        raise InputError(f"notes {path}, line {number}: must be a JSON object with a text")
    return text
