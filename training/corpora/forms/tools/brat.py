"""brat standoff, the form of n2c2 2018 track 2: `NAME.txt` as it is, and `NAME.ann` beside it.

    T1<TAB>Label begin end[;begin end…]<TAB>text    R1<TAB>Label Arg1:T1 Arg2:T2
    A1<TAB>Name T1 [value]                          N1<TAB>Reference T1 RESOURCE:ID<TAB>name

Offsets count code points of the text file, end exclusive; CRLF counts as two. A line of the `.ann`
file cannot hold a line break, so brat cuts a mention at each one. Fragments with only white space
and a line break between them are therefore read as one piece, and are cut again when written. All
others are fragments of a discontinuous mention. Format: https://brat.nlplab.org/standoff.html.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from training.corpora.documents import Document, join_pieces, make_document
from training.corpora.forms.source_lines import (
    Place,
    checked_fragments,
    checked_mention,
    read_lines,
    read_text,
)
from udfs.errors import InputError
from udfs.spans import Mention, Relation

# What `met` counts.
JOINED = "mentions cut at a line break by brat, read as one piece"
LEFT_OUT = {
    "#": "annotators' notes, left out",
    "E": "events, left out",
    "*": "equivalences, left out",
}
OF_EVENTS = "attributes, ids and relations of events or relations, left out"

# The name of the vocabulary in a reference whose concept id names none.
NO_RESOURCE = "concept:"

_MENTION = re.compile(r"(\S+) ([0-9]{1,9} [0-9]{1,9}(?:;[0-9]{1,9} [0-9]{1,9})*)")
_RELATION = re.compile(r"(\S+) \S+?:(\S+) \S+?:(\S+)\s*")
_ATTRIBUTE = re.compile(r"(\S+) (\S+)(?: (\S+))?\s*")
_REFERENCE = re.compile(r"Reference (\S+) (\S+)")


def read_brat(folder: Path, met: Counter[str]) -> list[Document]:
    """Documents of a folder and the folders below it; the id is the path without `.txt`.

    `met` counts what has no place in a document: annotators' notes, events, equivalences.

    Raises:
        InputError: a text has no annotation file or the reverse, or a line breaks a rule.
    """
    texts = {path.with_suffix(""): path for path in folder.rglob("*.txt")}
    annotations = {path.with_suffix(""): path for path in folder.rglob("*.ann")}
    if not texts:
        raise InputError(f"{folder} holds no .txt file")
    for alone in sorted(texts.keys() ^ annotations.keys()):
        suffix, other = (".txt", ".ann") if alone in texts else (".ann", ".txt")
        raise InputError(f"{alone}{suffix} has no {other} beside it; an .ann may be empty")
    return [
        _read_document(name.relative_to(folder).as_posix(), texts[name], annotations[name], met)
        for name in sorted(texts)
    ]


def _read_document(doc_id: str, text_file: Path, file: Path, met: Counter[str]) -> Document:
    text = read_text(text_file)
    mentions: dict[str, Mention] = {}
    later: list[tuple[Place, str, str]] = []
    skipped: set[str] = set()  # ids of annotations without a mention; others may refer to them
    for place, line in read_lines(file):
        if not line.strip():
            continue
        name, *columns = line.split("\t", 2)
        kind = name[:1]
        if kind == "T" and len(columns) == 2:
            if name in mentions:
                raise place.broken("an id may stand in a file only once")
            mentions[name] = _mention(place, text, columns[0], columns[1], met)
        elif kind in _PARSERS and columns:
            if kind == "R":
                skipped.add(name)
            later.append((place, kind, columns[0]))
        elif kind in LEFT_OUT:
            skipped.add(name)
            met[LEFT_OUT[kind]] += 1
        else:
            raise place.broken("expected T, R, E, A, M, N, * or # with a number, and tabs")
    return _with_extras(doc_id, text, mentions, later, skipped, met)


def _mention(place: Place, text: str, span: str, quoted: str, met: Counter[str]) -> Mention:
    parts = _MENTION.fullmatch(span)
    if parts is None:
        raise place.broken("expected LABEL begin end, or several begin end with ; between them")
    pieces = [(int(b), int(e)) for b, _, e in (p.partition(" ") for p in parts[2].split(";"))]
    if len(pieces) == 1:
        begin, end = pieces[0]
        inside = text[begin:end]
        # Converters write the line break in a mention as a space.
        as_quoted = inside if inside == quoted else re.sub(r"\r\n|\r|\n", " ", inside)
        mention = checked_mention(place, text, begin, end, parts[1])
        if as_quoted != quoted:
            raise place.broken(f"the mention differs from the text at {begin}-{end}")
        return mention
    checked_fragments(place, text, pieces)
    if " ".join(text[begin:end] for begin, end in pieces) != quoted:
        raise place.broken("the mention differs from the text of its fragments")
    joined = _join_at_line_breaks(text, pieces)
    met[JOINED] += len(joined) < len(pieces)
    return join_pieces(joined, parts[1])


def _join_at_line_breaks(text: str, pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined = [pieces[0]]
    for begin, end in pieces[1:]:
        if is_line_break(text[joined[-1][1] : begin]):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def is_line_break(gap: str) -> bool:
    """Whether a gap is white space with a line break, where brat cuts a mention."""
    return gap.isspace() and ("\n" in gap or "\r" in gap)


def _with_extras(
    doc_id: str,
    text: str,
    mentions: dict[str, Mention],
    later: list[tuple[Place, str, str]],
    skipped: set[str],
    met: Counter[str],
) -> Document:
    """Adds relations, attributes and concept ids after all mentions are read.

    In the file they may stand before the mention that they refer to.
    """
    place_of = {name: number for number, name in enumerate(mentions)}
    relations: list[Relation] = []
    attributes: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    concepts: defaultdict[str, list[str]] = defaultdict(list)
    for place, kind, content in later:
        parse, names = _PARSERS[kind]
        found = parse(content)
        if found is None:
            raise place.broken(f"expected {names}")
        targets = [found[group] for group in _TARGETS[kind]]
        if any(target in skipped for target in targets):
            met[OF_EVENTS] += 1
        elif any(target not in mentions for target in targets):
            raise place.broken("it refers to an id that is not in the file")
        elif kind == "R":
            head, tail = (place_of[target] for target in targets)
            relations.append(Relation(found[1], head, tail))
        elif kind == "N":
            concepts[found[1]].append(found[2].removeprefix(NO_RESOURCE))
        else:
            attributes[found[2]].append((found[1], found[3] or ""))
    complete = [
        replace(
            mention, attributes=tuple(sorted(attributes[name])), concept_ids=tuple(concepts[name])
        )
        for name, mention in mentions.items()
    ]
    return make_document(doc_id, text, complete, relations)


_Parser = Callable[[str], "re.Match[str] | None"]
_PARSERS: dict[str, tuple[_Parser, str]] = {
    "R": (_RELATION.fullmatch, "LABEL ROLE:ID ROLE:ID"),
    "A": (_ATTRIBUTE.fullmatch, "NAME ID, or NAME ID value"),
    "M": (_ATTRIBUTE.fullmatch, "NAME ID, or NAME ID value"),
    "N": (_REFERENCE.fullmatch, "Reference ID RESOURCE:ID"),
}
# Which groups of these patterns are ids of other annotations.
_TARGETS = {"R": (2, 3), "A": (2,), "M": (2,), "N": (1,)}
