"""Scores by note type and by section: documents and their mentions in groups.

A corpus does not say what kind of note a document is, nor where its sections are. A JSON Lines file
does: `{"note_id": "…", "note_type": "DS", "sections": [{"begin": 0, "end": 80, "name": "HPI"}]}`, a
line for each document, with offsets in code points. For note types a file of notes will do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.corpora.documents import Document
from udfs.errors import InputError
from udfs.spans import Span

NOTE_TYPE, SECTION = "note_type", "section"
GROUPINGS = (NOTE_TYPE, SECTION)
UNKNOWN = "(none)"  # the group of documents without a note type, or mentions outside all sections


@dataclass(frozen=True)
class Group:
    """Documents with only those gold mentions and predictions that belong to the group."""

    name: str
    documents: list[Document]
    predicted: list[list[Span]]


def read_group_file(path: Path, documents: Sequence[Document]) -> dict[str, dict[str, Any]]:
    """The lines of the file that are about these documents, by document id.

    Raises:
        InputError: the file cannot be read, a line is not such an object, or no line is about any
            of the documents.
    """
    wanted = {document.doc_id for document in documents}
    found = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                record = _record(path, number, line)
                if record["note_id"] in wanted:
                    found[record["note_id"]] = record
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__})") from None
    if not found:
        raise InputError(f"{path}: none of its note_ids is the id of a document of the corpus")
    return found


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        spans = [(s["begin"], s["end"], s["name"]) for s in record.get("sections") or []]
        fits = isinstance(record["note_id"], str) and all(
            isinstance(begin, int) and isinstance(end, int) and isinstance(name, str)
            for begin, end, name in spans
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InputError(
            f"{path}, line {number}: must be an object with a note_id and, if it has them, "
            "note_type and sections of begin, end and name"
        )
    return dict(record)


def group_documents(
    by: str,
    lines: dict[str, dict[str, Any]],
    documents: Sequence[Document],
    predicted: Sequence[Sequence[Span]],
) -> list[Group]:
    """Groups by `note_type` or `section`, in order of their names.

    A mention belongs to the section in which it begins; where sections overlap, to the first.
    """
    groups: dict[str, Group] = {}
    for document, spans in zip(documents, predicted, strict=True):
        line = lines.get(document.doc_id, {})
        names = {_name(by, line, span) for span in (*document.spans, *spans)}
        if by == NOTE_TYPE:
            names = {_name(by, line)}
        for name in names:
            group = groups.setdefault(name, Group(name, [], []))
            gold = tuple(span for span in document.spans if _name(by, line, span) == name)
            group.documents.append(replace(document, spans=gold, relations=()))
            group.predicted.append([span for span in spans if _name(by, line, span) == name])
    return [groups[name] for name in sorted(groups)]


def _name(by: str, line: dict[str, Any], span: Span | None = None) -> str:
    if by == NOTE_TYPE:
        return str(line.get(NOTE_TYPE) or UNKNOWN)
    holds = (
        section["name"]
        for section in line.get("sections") or []
        if span is not None and section["begin"] <= span.begin < section["end"]
    )
    return str(next(holds, UNKNOWN))
