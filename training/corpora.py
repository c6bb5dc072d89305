"""Annotated corpora: files -> documents with gold spans.

Owns the two forms in which BC5CDR is handed round (PubTator and IOB2 columns), the check of every
line, and the digest that names what a model was trained on. Knows nothing of windows, word-pieces
or models. Errors name the file, the line and the rule, never the text: the same readers will one
day see notes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from udfs.errors import InputError
from udfs.label_scheme import Span

DATA_VARIABLE = "CLINSPAN_DATA"
PARTS = ("train", "devel", "test")
_PUBTATOR_FILES = {
    "train": "CDR_TrainingSet.PubTator.txt",
    "devel": "CDR_DevelopmentSet.PubTator.txt",
    "test": "CDR_TestSet.PubTator.txt",
}


@dataclass(frozen=True)
class Document:
    """One annotated text. Spans are half-open code point offsets into `text`, in order of begin."""

    doc_id: str
    text: str
    spans: tuple[Span, ...]


def default_corpus() -> str:
    """BC5CDR in the data folder: $CLINSPAN_DATA, else `shared/data` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return f"bc5cdr:{Path(os.environ.get(DATA_VARIABLE, beside)) / 'bc5cdr'}"


def read_corpus(spec: str, parts: Sequence[str]) -> list[Document]:
    """The documents of `parts`, in their order, of a corpus such as `bc5cdr:FOLDER`.

    `bc5cdr` takes the PubTator files (exact offsets) where the folder has them, else the tsv files;
    `bc5cdr-tsv` takes the tsv files. Raises InputError for an unknown form, part, folder or file,
    or a broken line.
    """
    form, separator, folder_name = spec.partition(":")
    known = ", ".join(f"{name}:FOLDER" for name in _FORMS)
    if not separator or form not in _FORMS or not folder_name:
        raise InputError(f"corpus {spec!r} is unknown; known: {known}")
    unknown_parts = [part for part in parts if part not in PARTS]
    if unknown_parts or not parts:
        raise InputError(f"corpus parts {list(parts)} must be one or more of {', '.join(PARTS)}")
    folder = Path(folder_name)
    if not folder.is_dir():
        raise InputError(f"corpus {spec!r}: {folder} is not a folder; known forms: {known}")
    return [document for part in parts for document in _FORMS[form](folder, part)]


def _read_bc5cdr(folder: Path, part: str) -> list[Document]:
    pubtator = folder / "pubtator"
    if pubtator.is_dir():
        return read_pubtator(pubtator / _PUBTATOR_FILES[part])
    return read_bc5cdr_tsv(folder / f"{part}.tsv")


_FORMS: dict[str, Callable[[Path, str], list[Document]]] = {
    "bc5cdr": _read_bc5cdr,
    "bc5cdr-tsv": lambda folder, part: read_bc5cdr_tsv(folder / f"{part}.tsv"),
}


def read_pubtator(path: Path) -> list[Document]:
    """Documents of a PubTator file: title + one space + abstract, and every mention checked against
    that text.

    Relation lines (`PMID CID …`) are skipped; mentions of one place and label given twice count
    once.
    """
    documents: list[Document] = []
    seen: set[str] = set()
    block: list[tuple[int, str]] = []
    for number, line in _lines(path):
        if line:
            block.append((number, line))
        elif block:
            documents.append(_pubtator_document(path, block, seen))
            block = []
    if block:  # the published files do not end with an empty line, nor even with a newline
        documents.append(_pubtator_document(path, block, seen))
    return documents


def _pubtator_document(path: Path, block: list[tuple[int, str]], seen: set[str]) -> Document:
    first_line = block[0][0]
    doc_id, title = _pubtator_text(path, block[0], "t")
    if len(block) < 2:
        raise _broken(
            path, first_line, "a title line must be followed by an abstract line PMID|a|TEXT"
        )
    abstract_id, abstract = _pubtator_text(path, block[1], "a")
    if abstract_id != doc_id:
        raise _broken(path, block[1][0], "title and abstract must have the same PMID")
    if doc_id in seen:
        raise _broken(path, first_line, "a PMID may stand in a file only once")
    seen.add(doc_id)
    text = f"{title} {abstract}"
    spans: set[Span] = set()
    for number, line in block[2:]:
        columns = line.split("\t")
        if columns[0] != doc_id:
            raise _broken(path, number, "a mention must have its document's PMID")
        if len(columns) == 4 and columns[1] == "CID":
            continue
        spans.add(_pubtator_span(path, number, columns, text))
    return Document(doc_id, text, _in_order(spans))


def _pubtator_text(path: Path, numbered: tuple[int, str], kind: str) -> tuple[str, str]:
    number, line = numbered
    columns = line.split("|", 2)
    if len(columns) != 3 or columns[1] != kind or not columns[0]:
        raise _broken(path, number, f"expected PMID|{kind}|TEXT")
    return columns[0], columns[2]


def _pubtator_span(path: Path, number: int, columns: list[str], text: str) -> Span:
    if len(columns) not in (
        5,
        6,
        7,
    ):  # the id may be missing; composite mentions carry a seventh column
        raise _broken(
            path,
            number,
            f"expected PMID, begin, end, mention, label, id in columns, got {len(columns)} columns",
        )
    if not (columns[1].isdecimal() and columns[2].isdecimal()):
        raise _broken(path, number, "begin and end must be whole numbers")
    begin, end = int(columns[1]), int(columns[2])
    if not 0 <= begin < end <= len(text):
        raise _broken(
            path,
            number,
            f"offsets {begin}-{end} must lie inside the text of {len(text)} characters",
        )
    if text[begin:end] != columns[3]:
        raise _broken(path, number, f"the mention differs from the text at {begin}-{end}")
    if not columns[4]:
        raise _broken(path, number, "the label is empty")
    return Span(begin, end, columns[4])


def read_bc5cdr_tsv(path: Path) -> list[Document]:
    """Sentences of an IOB2 file (`token<TAB>tag`, an empty line after each) as documents with the
    id `<file>:<first line>`.

    The text is the tokens joined by one space, since the file does not keep the spacing of the
    source.
    """
    documents: list[Document] = []
    tokens: list[str] = []
    tags: list[str] = []
    first_line = 1
    for number, line in _lines(path):
        if not line:
            if tokens:
                documents.append(_tsv_document(f"{path.name}:{first_line}", tokens, tags))
            tokens, tags = [], []
            continue
        if not tokens:
            first_line = number
        token, tag = _tsv_columns(path, number, line)
        if tag.startswith("I-") and (not tags or tags[-1][2:] != tag[2:]):
            raise _broken(
                path, number, f"tag {tag} must follow a B- or I- tag of the same label (IOB2)"
            )
        tokens.append(token)
        tags.append(tag)
    if tokens:
        documents.append(_tsv_document(f"{path.name}:{first_line}", tokens, tags))
    return documents


def _tsv_columns(path: Path, number: int, line: str) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) != 2 or not columns[0]:
        raise _broken(path, number, f"expected token<TAB>tag, got {len(columns)} columns")
    token, tag = columns
    if tag != "O" and not (tag[:2] in ("B-", "I-") and len(tag) > 2):
        raise _broken(path, number, "a tag must be O, B-LABEL or I-LABEL")
    return token, tag


def _tsv_document(doc_id: str, tokens: Sequence[str], tags: Sequence[str]) -> Document:
    # Read here and not by label_scheme.tags_to_spans: gold must not change when the decoder does.
    spans: list[Span] = []
    begin = 0
    for token, tag in zip(tokens, tags, strict=True):
        end = begin + len(token)
        if tag.startswith("B-"):
            spans.append(Span(begin, end, tag[2:]))
        elif tag.startswith("I-"):
            spans[-1] = Span(spans[-1].begin, end, tag[2:])
        begin = end + 1
    return Document(doc_id, " ".join(tokens), tuple(spans))


def digest_documents(documents: Iterable[Document]) -> str:
    """sha256 of ids, texts and spans in order: the same annotations give the same digest from
    whatever form they were read.
    """
    digest = hashlib.sha256()
    for document in documents:
        spans = [[span.begin, span.end, span.label] for span in document.spans]
        digest.update(json.dumps([document.doc_id, document.text, spans]).encode("ascii"))
        digest.update(b"\n")
    return digest.hexdigest()


def labels_of(documents: Iterable[Document]) -> list[str]:
    """The labels that occur, sorted."""
    return sorted({span.label for document in documents for span in document.spans})


def _in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.begin, span.end, span.label)))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if not path.is_file():
        raise InputError(f"corpus file {path} is missing")
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {number}: not UTF-8 (byte {error.start})") from None
    # Only line feeds end a line: str.splitlines would also cut at U+2028 and move every offset
    # behind it.
    for number, line in enumerate(content.split("\n"), start=1):
        yield number, line.removesuffix("\r")


def _broken(path: Path, number: int, rule: str) -> InputError:
    return InputError(f"{path}, line {number}: {rule}")
