"""Span JSON: a list of records (or JSON Lines) with a text and its entities, read and written.

    {"doc_id": "a", "text": "…", "entities": [{"start": 0, "end": 7, "label": "Drug", "text": "…"}]}

Offsets count code points, end exclusive. The form holds all of a document: an entity may also have
`fragments`, `attributes` and `concept_ids`; a record may also have `concept_relations` and
`relations`, whose `head` and `tail` are indices in `entities`, from 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training.corpora.documents import Document, make_document
from training.corpora.forms.losses import Losses
from training.corpora.forms.source_lines import (
    Place,
    checked_fragments,
    checked_mention,
    mapping,
    read_records,
    record_id,
    sequence,
    string,
    whole_number,
    write_json_array,
    write_json_lines,
)
from udfs.spans import ConceptRelation, Mention, Relation

_Record = dict[str, Any]


def read_span_json(path: Path, met: Counter[str]) -> list[Document]:
    """Documents of a JSON array or JSON Lines.

    The key `entities` may also be `spans`, and `start` may also be `begin`. An entity's own `text`,
    where it is given, must equal the text between its offsets.

    Raises:
        InputError: the file is missing or a record breaks a rule.
    """
    return [_document(place, record) for place, record in read_records(path)]


def _document(place: Place, record: _Record) -> Document:
    text = string(place, record.get("text"), "text")
    entities = sequence(place, record.get("entities", record.get("spans")), "entities")
    mentions = [_mention(place, text, entity) for entity in _objects(place, entities)]
    relations = [
        Relation(
            string(place, relation.get("label"), "label"),
            _place_in(place, relation.get("head"), mentions),
            _place_in(place, relation.get("tail"), mentions),
        )
        for relation in _objects(place, record.get("relations", []))
    ]
    concept_relations = [
        ConceptRelation(*(string(place, relation.get(k), k) for k in ("label", "head", "tail")))
        for relation in _objects(place, record.get("concept_relations", []))
    ]
    return make_document(record_id(place, record), text, mentions, relations, concept_relations)


def _objects(place: Place, values: object) -> Iterator[_Record]:
    return (mapping(place, v, "an annotation") for v in sequence(place, values, "annotations"))


def _place_in(place: Place, value: object, mentions: Sequence[Mention]) -> int:
    number = whole_number(place, value, "head or tail")
    if not 0 <= number < len(mentions):
        raise place.broken("head and tail of a relation must be places in entities, from 0")
    return number


def _mention(place: Place, text: str, entity: _Record) -> Mention:
    begin = whole_number(place, entity.get("start", entity.get("begin")), "start")
    end = whole_number(place, entity.get("end"), "end")
    label = string(place, entity.get("label"), "label")
    fragments = _fragments(place, text, entity.get("fragments", []), (begin, end))
    attributes = [
        (string(place, a.get("name"), "name"), string(place, a.get("value"), "value"))
        for a in _objects(place, entity.get("attributes", []))
    ]
    concepts = sequence(place, entity.get("concept_ids", []), "concept_ids")
    return replace(
        checked_mention(place, text, begin, end, label, entity.get("text")),
        fragments=fragments,
        attributes=tuple(sorted(attributes)),
        concept_ids=tuple(string(place, concept, "a concept id") for concept in concepts),
    )


def _fragments(
    place: Place, text: str, value: object, borders: tuple[int, int]
) -> tuple[tuple[int, int], ...]:
    pieces = [sequence(place, piece, "a fragment") for piece in sequence(place, value, "fragments")]
    if not pieces:
        return ()
    offsets = [tuple(whole_number(place, offset, "an offset") for offset in p) for p in pieces]
    pairs = [(offset[0], offset[-1]) for offset in offsets if len(offset) == 2]
    if len(pairs) != len(offsets) or len(pairs) < 2:
        raise place.broken("fragments must be two or more pairs of start and end")
    checked_fragments(place, text, pairs)
    if (pairs[0][0], pairs[-1][1]) != borders:
        raise place.broken("fragments must reach from start to end")
    return tuple(pairs)


def write_span_json(documents: Sequence[Document], path: Path) -> Losses:
    """Writes JSON Lines to a `.jsonl` file, else an array; nothing is lost."""
    write = write_json_lines if path.suffix == ".jsonl" else write_json_array
    write(path, (_record(document) for document in documents))
    return Counter()


def _record(document: Document) -> _Record:
    record: _Record = {"doc_id": document.doc_id, "text": document.text}
    record["entities"] = [_entity(document.text, mention) for mention in document.spans]
    for name in ("relations", "concept_relations"):
        if relations := getattr(document, name):
            record[name] = [asdict(relation) for relation in relations]
    return record


def _entity(text: str, mention: Mention) -> _Record:
    entity: _Record = {"start": mention.begin, "end": mention.end, "label": mention.label}
    entity["text"] = text[mention.begin : mention.end]
    if mention.fragments:
        entity["fragments"] = mention.fragments
    if mention.attributes:
        entity["attributes"] = [{"name": n, "value": v} for n, v in mention.attributes]
    if mention.concept_ids:
        entity["concept_ids"] = mention.concept_ids
    return entity
