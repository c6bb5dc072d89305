"""Documents → a folder of brat standoff: `ID.txt` with the text, `ID.ann` with its annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from training.corpora.documents import Document
from training.corpora.forms.losses import (
    BREAK_GAPS,
    BROKEN_ENDS,
    CONCEPT_IDS,
    CONCEPT_RELATIONS,
    EMPTY,
    RELATIONS,
    Losses,
    count_extras,
    plain_name,
)
from training.corpora.forms.tools.brat import NO_RESOURCE, is_line_break
from udfs.errors import InputError
from udfs.spans import Mention

_WHITE_SPACE = re.compile(r"\s+")
_LONGEST_NAME = 200  # bytes; file systems allow 255, the suffix included


def write_brat(documents: Sequence[Document], folder: Path) -> Losses:
    """Writes a new folder; returns what is lost.

    Raises:
        InputError: the id of a document cannot be the name of a file.
    """
    losses = count_extras(documents, (CONCEPT_RELATIONS,))
    for number, document in enumerate(documents, start=1):
        name = _file_name(document.doc_id, number)
        for path in (folder / f"{name}.txt", folder / f"{name}.ann"):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = _lines(document, losses) if path.suffix == ".ann" else ()
            content = document.text if path.suffix == ".txt" else "".join(f"{x}\n" for x in lines)
            path.write_bytes(content.encode("utf-8"))
    return +losses


def _file_name(doc_id: str, number: int) -> str:
    parts = doc_id.split("/")
    fit = all(
        part not in ("", ".", "..") and part.isprintable() and len(part.encode()) <= _LONGEST_NAME
        for part in parts
    )
    if not fit:
        raise InputError(f"document {number}: its id cannot be the name of a file")
    return doc_id


def _lines(document: Document, losses: Losses) -> Iterator[str]:
    ids: dict[int, str] = {}
    counts = dict.fromkeys("TRAN", 0)

    def number(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}{counts[kind]}"

    for place, mention in enumerate(document.spans):
        pieces = _cut(document.text, mention, losses)
        if not pieces:
            continue
        ids[place] = number("T")
        offsets = ";".join(f"{begin} {end}" for begin, end in pieces)
        quoted = " ".join(document.text[begin:end] for begin, end in pieces)
        yield f"{ids[place]}\t{plain_name(mention.label, losses)} {offsets}\t{quoted}"
        for name, value in mention.attributes:
            said = f" {plain_name(value, losses)}" if value else ""
            yield f"{number('A')}\t{plain_name(name, losses)} {ids[place]}{said}"
        for concept in mention.concept_ids:
            if not concept or _WHITE_SPACE.search(concept):
                losses[CONCEPT_IDS] += 1
                continue
            named = ":" in concept and not concept.startswith(NO_RESOURCE)
            reference = concept if named else NO_RESOURCE + concept
            yield f"{number('N')}\tReference {ids[place]} {reference}\t{quoted}"
    for relation in document.relations:
        if relation.head in ids and relation.tail in ids:
            label = plain_name(relation.label, losses)
            yield f"{number('R')}\t{label} Arg1:{ids[relation.head]} Arg2:{ids[relation.tail]}"
        else:
            losses[RELATIONS] += 1


def _cut(text: str, mention: Mention, losses: Losses) -> list[tuple[int, int]]:
    """The fragments of a mention, cut at line breaks; empty where brat cannot hold the mention."""
    if mention.begin == mention.end:
        losses[EMPTY] += 1
        return []
    pieces = [part for piece in mention.pieces for part in _without_line_breaks(text, *piece)]
    if any(begin == end for begin, end in pieces):
        losses[BROKEN_ENDS] += 1
        return []
    gaps = [text[before[1] : after[0]] for before, after in pairwise(mention.fragments)]
    losses[BREAK_GAPS] += sum(map(is_line_break, gaps))
    return pieces


def _without_line_breaks(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for gap in _WHITE_SPACE.finditer(text, begin, end):
        if is_line_break(gap.group()):
            yield begin, gap.start()
            begin = gap.end()
    yield begin, end
