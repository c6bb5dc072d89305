"""i2b2/VA 2010: concepts (`.con`), assertions (`.ast`) and relations (`.rel`) of tokenised notes.

    c="chest pain" 5:2 5:3||t="problem"
    c="chest pain" 5:2 5:3||t="problem"||a="absent"
    c="aspirin" 4:1 4:1||r="TrAP"||c="chest pain" 5:2 5:3

The quoted text is in lower case. Source: Uzuner et al., J Am Med Inform Assoc 2011;18:552-556.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from training.corpora.documents import Document, make_document
from training.corpora.forms.published.token_offsets import OFFSET, TokenOffsets, words_of
from training.corpora.forms.source_lines import Place, read_lines, read_text
from udfs.errors import InputError
from udfs.spans import Mention, Relation

# What `met` counts.
NOT_ANNOTATED = "texts without annotations, left out"

_CONCEPT = rf'c="(.*)" ({OFFSET})'
_CON = re.compile(rf'{_CONCEPT}\|\|t="([^"|]+)"\s*')
_AST = re.compile(rf'{_CONCEPT}\|\|t="([^"|]+)"\|\|a="([^"|]+)"\s*')
_REL = re.compile(rf'{_CONCEPT}\|\|r="([^"|]+)"\|\|{_CONCEPT}\s*')
ASSERTION = "assertion"
# The first two letters of a relation's name tell the label of its first argument. The second
# argument is always a problem.
_FIRST_ARGUMENT = {"Tr": "treatment", "Te": "test", "PI": "problem"}


def read_i2b2_2010(folder: Path, met: Counter[str]) -> list[Document]:
    """Documents of a folder and the folders below it, wherever texts and annotations lie in them.

    The id is the file name without `.txt`. An assertion becomes an attribute of its problem. Texts
    without `.con` are left out and counted.

    Raises:
        InputError: there is no `.con` file, a file lacks the one that it belongs to, two files have
            the same name, or a line breaks a rule.
    """
    files = {suffix: _by_name(folder, suffix) for suffix in (".txt", ".con", ".ast", ".rel")}
    if not files[".con"]:
        raise InputError(f"{folder} holds no .con file")
    for suffix in (".con", ".ast", ".rel"):
        needs = ".txt" if suffix == ".con" else ".con"
        for name in sorted(files[suffix].keys() - files[needs].keys()):
            raise InputError(f"{files[suffix][name]}: there is no {name}{needs} in {folder}")
    met[NOT_ANNOTATED] += len(files[".txt"]) - len(files[".con"])
    return [
        _Note(read_text(files[".txt"][name])).read(name, files) for name in sorted(files[".con"])
    ]


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"*{suffix}")):
        if path.stem in found:
            raise InputError(f"{path} and {found[path.stem]} have the same name")
        found[path.stem] = path
    return found


class _Note:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = TokenOffsets(text)
        self._mentions: list[Mention] = []
        self._place_of: dict[tuple[int, int, str], int] = {}

    def read(self, name: str, files: Mapping[str, Mapping[str, Path]]) -> Document:
        """The document of the files with this name."""
        for place, (quoted, offset, label) in _parsed(files[".con"][name], _CON):
            begin, end = self._span(place, quoted, offset)
            self._place_of.setdefault((begin, end, label), len(self._mentions))
            self._mentions.append(Mention(begin, end, label))
        if name in files[".ast"]:
            for place, (quoted, offset, label, value) in _parsed(files[".ast"][name], _AST):
                self._assert(self._concept(place, quoted, offset, label), value)
        relations = []
        if name in files[".rel"]:
            for place, found in _parsed(files[".rel"][name], _REL):
                quoted, offset, relation, tail, tail_offset = found
                if relation[:2] not in _FIRST_ARGUMENT:
                    raise place.broken("a relation must be Tr…, Te… or PIP")
                head_label = _FIRST_ARGUMENT[relation[:2]]
                head_place = self._concept(place, quoted, offset, head_label)
                tail_place = self._concept(place, tail, tail_offset, "problem")
                relations.append(Relation(relation, head_place, tail_place))
        return make_document(name, self._text, self._mentions, relations)

    def _span(self, place: Place, quoted: str, offset: str) -> tuple[int, int]:
        begin, end = self._tokens.span(place, offset)
        if words_of(self._text[begin:end]) != words_of(quoted):
            raise place.broken(f"the mention differs from the text at {offset}")
        return begin, end

    def _concept(self, place: Place, quoted: str, offset: str, label: str) -> int:
        number = self._place_of.get((*self._span(place, quoted, offset), label))
        if number is None:
            raise place.broken(f"the .con file has no {label} at {offset}")
        return number

    def _assert(self, number: int, value: str) -> None:
        mention = self._mentions[number]
        attributes = tuple(sorted([*mention.attributes, (ASSERTION, value)]))
        self._mentions[number] = replace(mention, attributes=attributes)


def _parsed(path: Path, form: re.Pattern[str]) -> list[tuple[Place, tuple[str, ...]]]:
    parsed = []
    for place, line in read_lines(path):
        if not line.strip():
            continue
        found = form.fullmatch(line)
        if found is None:
            raise place.broken(f"not a line of a {path.suffix} file")
        parsed.append((place, found.groups()))
    return parsed
