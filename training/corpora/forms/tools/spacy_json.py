"""spaCy's JSON: pairs of a text and its entities, `Doc.to_json()`, and the training form of v2.

    [["…", {"entities": [[0, 7, "Drug"]]}]]
    {"text": "…", "ents": [{"start": 0, "end": 7, "label": "Drug"}], "tokens": […]}
    [{"id": 0, "paragraphs": [{"raw": "…", "sentences": [
      {"tokens": [{"orth": "…", "ner": "U-Drug"}]}]}]}]

Offsets count code points, end exclusive. v2 has BILUO tags on tokens without offsets; the reader
finds each token in `raw`. Format: spaCy's documentation of data formats, and
`spacy/tokens/doc.pyx`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.corpora.documents import Document, make_document
from training.corpora.forms.source_lines import (
    Place,
    checked_mention,
    mapping,
    read_json,
    read_records,
    record_id,
    sequence,
    string,
    whole_number,
)
from udfs.spans import Mention

# What `met` counts.
OTHER_GROUPS = "spans in span groups other than sc, left out"

# The span group in which spaCy's span categorizer looks for mentions. They may overlap there.
GROUP = "sc"


def read_spacy_json(path: Path, met: Counter[str]) -> list[Document]:
    """Documents of a `.json` or `.jsonl` file in any of the three forms."""
    if path.suffix != ".jsonl":
        value = read_json(path)
        if isinstance(value, list) and all(isinstance(item, list) for item in value):
            return [
                _pair(Place(path, number, "record"), pair)
                for number, pair in enumerate(value, start=1)
            ]
    return [
        document
        for place, record in read_records(path)
        for document in (
            _paragraphs(place, record) if "paragraphs" in record else [_doc(place, record, met)]
        )
    ]


def _pair(place: Place, pair: list[Any]) -> Document:
    if len(pair) != 2:
        raise place.broken("expected a list of text and annotations")
    text = string(place, pair[0], "text")
    mentions = []
    annotations = mapping(place, pair[1], "annotations")
    for value in sequence(place, annotations.get("entities"), "entities"):
        span = sequence(place, value, "an entity")
        if len(span) != 3:
            raise place.broken("an entity must be a list of start, end and label")
        mentions.append(_mention(place, text, *span))
    return make_document(f"{place.path.name}:{place.number}", text, mentions)


def _doc(place: Place, record: dict[str, Any], met: Counter[str]) -> Document:
    text = string(place, record.get("text"), "text")
    if "ents" not in record and "spans" not in record:
        raise place.broken("expected a pair of text and entities, ents, spans or paragraphs")
    groups = mapping(place, record.get("spans", {}), "spans")
    sizes = {name: len(sequence(place, group, "a span group")) for name, group in groups.items()}
    met[OTHER_GROUPS] += sum(size for name, size in sizes.items() if name != GROUP)
    spans = _spans(place, text, record.get("ents", []))
    group = _spans(place, text, groups.get(GROUP, []))
    return make_document(record_id(place, record), text, with_group(spans, group))


def with_group(entities: Sequence[Mention], group: Sequence[Mention]) -> list[Mention]:
    """The mentions of the span group, and the entities that are not among them."""
    in_group = set(group)
    return [*group, *(entity for entity in entities if entity not in in_group)]


def _spans(place: Place, text: str, values: object) -> list[Mention]:
    spans = [mapping(place, value, "a span") for value in sequence(place, values, "spans")]
    return [_mention(place, text, s.get("start"), s.get("end"), s.get("label")) for s in spans]


def _mention(place: Place, text: str, start: object, end: object, label: object) -> Mention:
    return checked_mention(
        place,
        text,
        whole_number(place, start, "start"),
        whole_number(place, end, "end"),
        string(place, label, "label"),
    )


def _paragraphs(place: Place, record: dict[str, Any]) -> Iterator[Document]:
    doc_id = record_id(place, record)
    paragraphs = sequence(place, record["paragraphs"], "paragraphs")
    for number, value in enumerate(paragraphs, start=1):
        paragraph = mapping(place, value, "a paragraph")
        text = string(place, paragraph.get("raw"), "raw")
        sentences = sequence(place, paragraph.get("sentences"), "sentences")
        tokens = [
            mapping(place, token, "a token")
            for sentence in (mapping(place, value, "a sentence") for value in sentences)
            for token in sequence(place, sentence.get("tokens"), "tokens")
        ]
        name = doc_id if len(paragraphs) == 1 else f"{doc_id}.{number}"
        yield make_document(name, text, _tagged_mentions(place, text, tokens))


def _tagged_mentions(place: Place, text: str, tokens: list[dict[str, Any]]) -> list[Mention]:
    mentions: list[Mention] = []
    open_label, open_begin, after = "", 0, 0
    for token in tokens:
        begin, after = _find(place, text, string(place, token.get("orth"), "orth"), after)
        tag = string(place, token.get("ner"), "ner")
        prefix, label = tag[:2], tag[2:]
        goes_on = prefix in ("I-", "L-") and label == open_label
        fits = goes_on if open_label else prefix in ("B-", "U-")
        if not (fits and label) and (tag != "O" or open_label):
            raise place.broken("tags must be O, U-LABEL, or B-LABEL, I-LABEL …, L-LABEL")
        if prefix in ("B-", "U-"):
            open_label, open_begin = label, begin
        if prefix in ("L-", "U-"):
            mentions.append(Mention(open_begin, after, open_label))
            open_label = ""
    if open_label:
        raise place.broken("the last mention has no L- tag")
    return mentions


def _find(place: Place, text: str, orth: str, after: int) -> tuple[int, int]:
    """Begin and end of the token that follows the offset `after`, with only white space between."""
    while orth and after < len(text) and not text.startswith(orth, after) and text[after].isspace():
        after += 1
    if not orth or not text.startswith(orth, after):
        raise place.broken("the tokens of a paragraph differ from its raw text")
    return after, after + len(orth)
