"""Texts with annotations inside: `started [drug: aspirin] for [symptom: chest pain]`.

A label begins with a lower-case letter and consists of lower-case letters, digits, `_` and `-`. A
colon and one space stand before the value, which holds no brackets. All other brackets
(`[see scan]`, `[**2150-1-9**]`) are text. Offsets count in the text without the marks.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from training.corpora.documents import Document, make_document
from training.corpora.forms.source_lines import Place, read_text
from udfs.errors import InputError
from udfs.spans import Mention

_MARK = re.compile(r"\[([a-z][a-z0-9_-]*): ")
_BRACKET = re.compile(r"[\[\]]")


def read_inline(path: Path, met: Counter[str]) -> list[Document]:
    """Documents of one file, or of all `.txt` files of a folder and the folders below it.

    The id is the path without the suffix.

    Raises:
        InputError: the folder holds no `.txt` file, or a mark is not closed.
    """
    if path.is_file():
        return [_document(path.stem, path)]
    files = sorted(path.rglob("*.txt"))
    if not files:
        raise InputError(f"{path} holds no .txt file")
    return [_document(file.relative_to(path).with_suffix("").as_posix(), file) for file in files]


def _document(doc_id: str, path: Path) -> Document:
    marked = read_text(path)
    kept: list[str] = []
    length = after = 0
    mentions: list[Mention] = []
    while mark := _MARK.search(marked, after):
        close = _BRACKET.search(marked, mark.end())
        if close is None or close.group() == "[":
            line = marked.count("\n", 0, mark.start()) + 1
            raise Place(path, line).broken(
                "[label: must be closed by ] and its value hold no brackets"
            )
        before, value = marked[after : mark.start()], marked[mark.end() : close.start()]
        begin = length + len(before)
        length = begin + len(value)
        mentions.append(Mention(begin, length, mark[1]))
        kept += (before, value)
        after = close.end()
    kept.append(marked[after:])
    return make_document(doc_id, "".join(kept), mentions)
