"""PubTator files: BC5CDR, the NCBI disease corpus as it was published, and MedMentions.

A document is a line `PMID|t|TITLE`, a line `PMID|a|ABSTRACT`, a line with the columns
`PMID begin end mention label ids` for each mention, and an empty line. Offsets count code points of
title + one space + abstract, end exclusive; every mention is compared with that text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from training.corpora.documents import Document, make_document
from training.corpora.forms.source_lines import Place, checked_mention, read_lines
from udfs.errors import InputError
from udfs.spans import ConceptRelation, Mention

# What `met` counts.
NO_CONCEPT = "ids of -1 (no concept), left out"
SPACED_ID = "ids with white space around them, which is left out"
PART_NAMES = "columns with the single mentions of a composite one, left out"
OUTER_SPACE = "mentions quoted with more white space at their ends than the text has"
REPEATED = "documents that stand in the file twice, read once"

_RELATION = "CID"


@dataclass(frozen=True)
class Dialect:
    """Which deviations from the plain form a corpus is allowed."""

    quotes_outer_space: bool = False
    repeats_documents: bool = False


PLAIN = Dialect()
# 10923035 quotes outer space and 8528200 stands twice: so say README files of copies, and our own
# counts.
NCBI_DISEASE = Dialect(quotes_outer_space=True, repeats_documents=True)

_Block = list[tuple[Place, str]]


def read_pubtator(
    path: Path, met: Counter[str] | None = None, dialect: Dialect = PLAIN
) -> list[Document]:
    """Documents of a PubTator file, with concept ids and `CID` relations of concepts.

    Ids are split at `|` (a composite mention). `+` joins concepts that have the meaning only
    together, so such an id is not split. The prefix `UMLS:` of MedMentions is removed. A label is
    the column as it is, also where MedMentions has several types with commas between them. `met`
    counts what is left out.

    Raises:
        InputError: a line breaks a rule.
    """
    reader = _Reader(Counter() if met is None else met, dialect)
    block: _Block = []
    for place, line in read_lines(path):
        if line:
            block.append((place, line))
        elif block:
            reader.read(block)
            block = []
    if block:  # the published files end without an empty line and even without a newline
        reader.read(block)
    return reader.documents


class _Reader:
    def __init__(self, met: Counter[str], dialect: Dialect) -> None:
        self.documents: list[Document] = []
        self._met = met
        self._dialect = dialect
        self._seen: dict[str, list[str]] = {}

    def read(self, block: _Block) -> None:
        """Reads the lines of one document."""
        place, lines = block[0][0], [line for _, line in block]
        doc_id, title = _text_line(block[0], "t")
        if len(block) < 2:
            raise place.broken("a title line must be followed by an abstract line PMID|a|TEXT")
        abstract_id, abstract = _text_line(block[1], "a")
        if abstract_id != doc_id:
            raise block[1][0].broken("title and abstract must have the same PMID")
        if doc_id in self._seen:
            if not (self._dialect.repeats_documents and self._seen[doc_id] == lines):
                raise place.broken("a PMID may stand in a file only once")
            self._met[REPEATED] += 1
            return
        self._seen[doc_id] = lines
        self.documents.append(self._document(doc_id, f"{title} {abstract}", block[2:]))

    def _document(self, doc_id: str, text: str, block: _Block) -> Document:
        mentions: list[Mention] = []
        relations: list[ConceptRelation] = []
        for place, line in block:
            columns = line.split("\t")
            if columns[0] != doc_id:
                raise place.broken("a mention must have its document's PMID")
            if len(columns) == 4 and columns[1] == _RELATION:
                relations.append(ConceptRelation(_RELATION, columns[2], columns[3]))
            else:
                mentions.append(self._mention(place, columns, text))
        return make_document(doc_id, text, mentions, concept_relations=relations)

    def _mention(self, place: Place, columns: list[str], text: str) -> Mention:
        # The id may be missing; a composite mention has a seventh column.
        if len(columns) not in (5, 6, 7):
            raise place.broken(
                "expected PMID, begin, end, mention, label, id in columns, "
                f"got {len(columns)} columns"
            )
        if not (columns[1].isdecimal() and columns[2].isdecimal()):
            raise place.broken("begin and end must be whole numbers")
        begin, end, quoted = int(columns[1]), int(columns[2]), columns[3]
        inside = text[begin:end]
        if self._dialect.quotes_outer_space and quoted != inside and quoted.strip() == inside:
            self._met[OUTER_SPACE] += 1
            quoted = inside
        if begin >= end:
            raise place.broken(
                f"offsets {begin}-{end} must lie inside the text of {len(text)} characters"
            )
        mention = checked_mention(place, text, begin, end, columns[4], quoted)
        self._met[PART_NAMES] += len(columns) == 7
        return replace(mention, concept_ids=self._ids("".join(columns[5:6])))

    def _ids(self, column: str) -> tuple[str, ...]:
        ids = []
        for given in column.split("|"):
            concept = given.strip()
            self._met[SPACED_ID] += concept != given
            self._met[NO_CONCEPT] += concept == "-1"
            if concept not in ("", "-1"):
                ids.append(concept.removeprefix("UMLS:"))
        return tuple(ids)


def _text_line(numbered: tuple[Place, str], kind: str) -> tuple[str, str]:
    place, line = numbered
    columns = line.split("|", 2)
    if len(columns) != 3 or columns[1] != kind or not columns[0]:
        raise place.broken(f"expected PMID|{kind}|TEXT")
    return columns[0], columns[2]


# MedMentions' own names of the parts.
_MEDMENTIONS_PARTS = {"train": "trng", "devel": "dev", "test": "test"}
_PMIDS = "corpus_pubtator_pmids_"


def read_medmentions(path: Path, part: str | None, met: Counter[str]) -> list[Document]:
    """Documents of MedMentions: `path` is its file, or a folder with only that corpus file.

    The file is `corpus_pubtator.txt`, also as `.gz`. The list
    `corpus_pubtator_pmids_{trng,dev,test}.txt` beside it names the documents of a part.

    Raises:
        InputError: the folder does not hold one corpus file, the list names a document that the
            file lacks, or a line breaks a rule.
    """
    file = path if path.is_file() else _corpus_file(path)
    documents = read_pubtator(file, met)
    if part is None:
        return documents
    name = file.parent / f"{_PMIDS}{_MEDMENTIONS_PARTS[part]}.txt"
    wanted = {line.strip() for _, line in read_lines(name) if line.strip()}
    missing = len(wanted - {document.doc_id for document in documents})
    if missing:
        raise InputError(f"{name}: {missing} of its PMIDs are not in {file.name}")
    return [document for document in documents if document.doc_id in wanted]


def _corpus_file(folder: Path) -> Path:
    found = [f for f in folder.glob("corpus_pubtator*.txt*") if not f.name.startswith(_PMIDS)]
    if len(found) != 1:
        raise InputError(
            f"{folder} must hold one corpus_pubtator*.txt, not {len(found)}: name the file"
        )
    return found[0]
