"""i2b2 2009 medication extraction: each line is an entry, a medication with its fields.

    m="lasix" 6:5 6:5||do="40 mg" 6:6 6:7||mo="iv" 6:8 6:8||f="nm"||du="nm"||r="nm"||ln="list"

`nm` means "not mentioned". Parts of a discontinuous field are joined by `...`, their offsets by a
comma. Some gold files have `|||` for `||`, ` ... ` for `...` or a blank for the comma. Source:
Uzuner et al., J Am Med Inform Assoc 2010;17:514-518.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from training.corpora.documents import Document, join_pieces, make_document
from training.corpora.forms.published.i2b2_2010 import NOT_ANNOTATED
from training.corpora.forms.published.token_offsets import OFFSET, TokenOffsets, words_of
from training.corpora.forms.source_lines import Place, checked_fragments, read_lines, read_text
from udfs.errors import InputError
from udfs.spans import Mention, Relation

# What `met` counts.
LESS_PUNCTUATION = "mentions quoted without the punctuation of their tokens"

MEDICATION = "medication"
_FIELDS = {"do": "dosage", "mo": "mode", "f": "frequency", "du": "duration", "r": "reason"}
_ATTRIBUTES = {"e": "event", "t": "temporal", "c": "certainty", "ln": "list_or_narrative"}
_NOT_MENTIONED = "nm"

_SUFFIXES = (".i2b2.entries", "_gold.entries", ".entries", ".m")
_FIELD = re.compile(rf'\s*([a-z]+)="(.*)"((?:[ ,]{OFFSET})*)\s*')
_OFFSET = re.compile(OFFSET)
_SEPARATOR = re.compile(r"\|\|\|?(?=\s*[a-z]+=\")")
_ELLIPSIS = re.compile(r"\s*\.\.\.\s*")


def read_i2b2_2009(folder: Path, met: Counter[str]) -> list[Document]:
    """Documents of a folder and the folders below it.

    Texts are named `ID` or `ID.txt`; entries are named `ID.i2b2.entries`, `ID_gold.entries`,
    `ID.entries` or `ID.m`. A field of an entry becomes a mention with a relation such as
    `dosage-medication` to the entry's medication; `e`, `t`, `c` and `ln` become attributes of the
    medication. Each entry has its own mentions, so a drug with two doses gives two mentions of the
    medication. Texts without entries are left out and counted.

    Raises:
        InputError: there are no entries, entries have no text, two files belong to one document, or
            a line breaks a rule.
    """
    texts: dict[str, Path] = {}
    entries: dict[str, Path] = {}
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        suffix = next((end for end in _SUFFIXES if path.name.endswith(end)), None)
        if suffix is None and path.suffix not in ("", ".txt"):
            continue
        kind, name = (texts, path.stem) if suffix is None else (entries, path.name[: -len(suffix)])
        if name in kind:
            raise InputError(f"{path} and {kind[name]} are of one document")
        kind[name] = path
    if not entries:
        raise InputError(f"{folder} holds no file with entries, such as ID.i2b2.entries")
    for name in sorted(entries.keys() - texts.keys()):
        raise InputError(f"{entries[name]}: there is no text {name} in {folder}")
    met[NOT_ANNOTATED] += len(texts) - len(entries)
    return [
        _Note(read_text(texts[name]), met).read(name, entries[name]) for name in sorted(entries)
    ]


class _Note:
    def __init__(self, text: str, met: Counter[str]) -> None:
        self._text = text
        self._tokens = TokenOffsets(text)
        self._met = met
        self._mentions: list[Mention] = []
        self._relations: list[Relation] = []

    def read(self, name: str, entries: Path) -> Document:
        """The document with this name."""
        for place, line in read_lines(entries):
            if line.strip():
                self._entry(place, line)
        return make_document(name, self._text, self._mentions, self._relations)

    def _entry(self, place: Place, line: str) -> None:
        medication = len(self._mentions)
        attributes: list[tuple[str, str]] = []
        for number, part in enumerate(_SEPARATOR.split(line)):
            found = _FIELD.fullmatch(part)
            if found is None:
                raise place.broken('expected fields such as do="40 mg" 6:6 6:7, with || between')
            key, value, offsets = found.groups()
            if (key == "m") != (number == 0) or (key != "m" and key not in _FIELDS | _ATTRIBUTES):
                raise place.broken('expected m="…" first, then do, mo, f, du, r, e, t, c and ln')
            if key in _ATTRIBUTES:
                attributes.append((_ATTRIBUTES[key], value))
            elif offsets:
                self._mentions.append(self._mention(place, key, value, offsets))
                if key != "m":
                    label = f"{_FIELDS[key]}-{MEDICATION}"
                    self._relations.append(Relation(label, len(self._mentions) - 1, medication))
            elif value != _NOT_MENTIONED or key == "m":
                raise place.broken('a field without offsets must be "nm", and m must have them')
        with_attributes = replace(self._mentions[medication], attributes=tuple(sorted(attributes)))
        self._mentions[medication] = with_attributes

    def _mention(self, place: Place, key: str, quoted: str, offsets: str) -> Mention:
        pieces = [self._tokens.span(place, offset) for offset in _OFFSET.findall(offsets)]
        checked_fragments(place, self._text, pieces)
        inside = "...".join(words_of(self._text[begin:end]) for begin, end in pieces)
        said = _ELLIPSIS.sub("...", words_of(quoted))
        if inside != said:
            # A token ends only at white space, so the token `pain.` may be quoted as `pain`.
            if _bare(inside) != _bare(said):
                raise place.broken(f"the mention differs from the text at{offsets}")
            self._met[LESS_PUNCTUATION] += 1
        return join_pieces(pieces, _FIELDS.get(key, MEDICATION))


def _bare(words: str) -> str:
    return re.sub(r"^[^\w]+|[^\w]+$", "", words)
