"""Column files: a token a line with its tag (CoNLL), an empty line after each sentence.

They keep neither the white space of the source nor offsets. The text of a document is its tokens
joined by one space, and its sentences joined by a line feed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.corpora.documents import Document, make_document
from training.corpora.forms.source_lines import Place, read_lines
from udfs.spans import Mention

IOB1, IOB2 = "IOB1", "IOB2"
# `-DOCSTART-` may be followed by columns, and by an id in brackets as in AIDA-CoNLL.
_DOCUMENT_LINE = re.compile(r"-DOCSTART-(?: \((.+)\))?(?:\s.*)?")

_Splitter = Callable[[Place, str], list[str]]


@dataclass
class _Sentence:
    """Tokens of a sentence and their tags."""

    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def read_bc5cdr_tsv(path: Path) -> list[Document]:
    """Sentences of an IOB2 file as documents with the id `<file>:<first line>`.

    A line is `token<TAB>tag`; an empty line ends a sentence. The text is the tokens joined by one
    space, since the file does not keep the spacing of the source.

    Raises:
        InputError: a line breaks a rule.
    """
    return _read_columns(path, _split_tsv, IOB2)


def read_conll(path: Path, met: Counter[str], scheme: str = IOB2) -> list[Document]:
    """Documents of a column file: the token in the first column, the tag in the last.

    Tabs or white space separate the columns. `-DOCSTART-` lines begin documents; a file without
    them gives a document for each sentence, with the id `<file>:<first line>`. In IOB2 every
    mention begins with B-. In IOB1 (CoNLL-2003 as it was published) a mention begins with B- only
    where it directly follows another one of its label.

    Raises:
        InputError: a line breaks a rule, or has a tag that the scheme does not allow.
    """
    return _read_columns(path, _conll_splitter(), scheme)


def _read_columns(path: Path, split: _Splitter, scheme: str) -> list[Document]:
    documents: list[tuple[str, list[_Sentence]]] = []
    sentence: _Sentence | None = None
    marked = False
    for place, line in read_lines(path):
        here = f"{path.name}:{place.number}"
        if mark := _DOCUMENT_LINE.fullmatch(line):
            if documents and not marked:
                raise place.broken("sentences stand before the first -DOCSTART-")
            marked, sentence = True, None
            documents.append((mark[1] or here, []))
            continue
        columns = split(place, line)
        if not columns:
            sentence = None
            continue
        if sentence is None:
            sentence = _Sentence()
            if not marked:
                documents.append((here, []))
            documents[-1][1].append(sentence)
        token, tag = columns[0], columns[-1]
        _check_tag(place, tag, sentence.tags[-1] if sentence.tags else "O", scheme)
        sentence.tokens.append(token)
        sentence.tags.append(tag)
    return [_document(doc_id, sentences) for doc_id, sentences in documents]


def _split_tsv(place: Place, line: str) -> list[str]:
    columns = line.split("\t") if line else []
    if columns and (len(columns) != 2 or not columns[0]):
        raise place.broken(f"expected token<TAB>tag, got {len(columns)} columns")
    return columns


def _conll_splitter() -> _Splitter:
    """A splitter at tabs, or at white space in a line without tabs.

    It requires the same number of columns in every line.
    """
    wanted = 0

    def split(place: Place, line: str) -> list[str]:
        nonlocal wanted
        if not line.strip():
            return []
        columns = line.split("\t") if "\t" in line else line.split()
        wanted = wanted or max(len(columns), 2)
        if len(columns) != wanted or not columns[0]:
            raise place.broken(
                f"expected {wanted} columns, the token first and the tag last, got {len(columns)}"
            )
        return columns

    return split


def _check_tag(place: Place, tag: str, before: str, scheme: str) -> None:
    if tag != "O" and not (tag[:2] in ("B-", "I-") and len(tag) > 2):
        raise place.broken("a tag must be O, B-LABEL or I-LABEL")
    follows_its_label = before[2:] == tag[2:]
    if scheme == IOB2 and tag.startswith("I-") and not follows_its_label:
        raise place.broken(f"tag {tag} must follow a B- or I- tag of the same label (IOB2)")
    if scheme == IOB1 and tag.startswith("B-") and not follows_its_label:
        raise place.broken(f"tag {tag} must follow a mention of the same label (IOB1)")


def _document(doc_id: str, sentences: Sequence[_Sentence]) -> Document:
    # Tags are decoded here and not by label_scheme.tags_to_spans: gold must not change when the
    # model's decoder changes.
    mentions: list[Mention] = []
    begin = 0
    for sentence in sentences:
        before = "O"
        for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
            end = begin + len(token)
            if tag.startswith("I-") and before[2:] == tag[2:]:
                mentions[-1] = Mention(mentions[-1].begin, end, tag[2:])
            elif tag != "O":
                mentions.append(Mention(begin, end, tag[2:]))
            begin, before = end + 1, tag
    text = "\n".join(" ".join(sentence.tokens) for sentence in sentences)
    return make_document(doc_id, text, mentions)
