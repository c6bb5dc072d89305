"""What a corpus holds: counts of documents and annotations, and of what a user should look at.

The report has counts and labels only, no text. It repairs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from training.corpora.documents import Document
from udfs.spans import Mention


@dataclass
class CorpusReport:
    """Counts over documents.

    `nested` mentions lie within another one, or at the same place under another label.
    `overlapping` mentions share characters with another one and lie within none. Both counts use
    the outermost span of a mention. `duplicates` repeat the pieces and the label of another
    mention. `misaligned` mentions have a border between two letters or digits, `padded`
    ones begin or end with white space. `behind_astral` mentions end after a character that is two
    UTF-16 code units: their offsets show in which units a file counts.
    """

    documents: int = 0
    characters: int = 0
    mentions: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    nested: int = 0
    overlapping: int = 0
    duplicates: int = 0
    discontinuous: int = 0
    misaligned: int = 0
    padded: int = 0
    empty: int = 0
    behind_astral: int = 0
    concept_ids: int = 0
    attributes: Counter[str] = field(default_factory=Counter)
    relations: Counter[str] = field(default_factory=Counter)
    concept_relations: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; names sorted."""
        # dataclasses.asdict would rebuild each Counter from its pairs and so count the pairs.
        values = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        return {
            name: dict(sorted(value.items())) if isinstance(value, Counter) else value
            for name, value in values.items()
        }


def report_corpus(documents: Iterable[Document]) -> CorpusReport:
    """The counts of these documents."""
    report = CorpusReport()
    for document in documents:
        report.documents += 1
        report.characters += len(document.text)
        report.relations.update(relation.label for relation in document.relations)
        report.concept_relations.update(relation.label for relation in document.concept_relations)
        report.behind_astral += _behind_astral(document)
        for mention in document.spans:
            _count(report, document.text, mention)
        _count_overlaps(report, document.spans)
    return report


def _count(report: CorpusReport, text: str, mention: Mention) -> None:
    report.mentions += 1
    report.labels[mention.label] += 1
    report.discontinuous += bool(mention.fragments)
    report.empty += mention.begin == mention.end
    report.concept_ids += len(mention.concept_ids)
    report.attributes.update(name for name, _ in mention.attributes)
    borders = [border for piece in mention.pieces for border in piece]
    report.misaligned += any(_is_inside_word(text, border) for border in borders)
    inside = text[mention.begin : mention.end]
    report.padded += inside != inside.strip()


def _is_inside_word(text: str, border: int) -> bool:
    if not 0 < border < len(text):
        return False
    before, after = text[border - 1], text[border]
    return (before.isalnum() or before == "_") and (after.isalnum() or after == "_")


def _behind_astral(document: Document) -> int:
    first = next((n for n, c in enumerate(document.text) if c > "\uffff"), len(document.text))
    return sum(mention.end > first for mention in document.spans)


def _count_overlaps(report: CorpusReport, mentions: Sequence[Mention]) -> None:
    distinct = dict.fromkeys((mention.pieces, mention.label) for mention in mentions)
    report.duplicates += len(mentions) - len(distinct)
    reach = -1
    for begin, end in sorted(_outermost(pieces for pieces, _ in distinct), key=_longest_first):
        # All spans that begin earlier have been seen; the one that ends last decides.
        report.nested += end <= reach
        report.overlapping += begin < reach < end
        reach = max(reach, end)


def _outermost(of_mentions: Iterable[tuple[tuple[int, int], ...]]) -> Iterator[tuple[int, int]]:
    for pieces in of_mentions:
        if pieces[0][0] < pieces[-1][1]:
            yield pieces[0][0], pieces[-1][1]


def _longest_first(span: tuple[int, int]) -> tuple[int, int]:
    return span[0], -span[1]
