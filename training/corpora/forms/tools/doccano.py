"""doccano's JSON Lines, read and written.

    {"id": 1, "text": "…", "label": [[0, 7, "Drug"]]}
    {"id": 1, "text": "…", "entities": [{"id": 5, "label": "Drug", "start_offset": 0,
     "end_offset": 7}], "relations": [{"id": 1, "from_id": 5, "to_id": 6, "type": "Treats"}]}

The first record is from a sequence labelling project, the second from one with relations. The file
quotes no mention, so only the offsets can be checked. They count code points or, as doccano's
browser part did in 2023 (doccano issue 2290), UTF-16 code units; the two differ after an emoji.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.corpora.documents import Document, make_document
from training.corpora.forms.code_units import CodeUnits
from training.corpora.forms.losses import (
    ATTRIBUTES,
    CONCEPT_IDS,
    CONCEPT_RELATIONS,
    Losses,
    count_extras,
)
from training.corpora.forms.source_lines import (
    Place,
    checked_mention,
    code_point_offset,
    identifier,
    mapping,
    read_records,
    record_id,
    sequence,
    string,
    write_json_lines,
)
from udfs.spans import Mention, Relation

# What `met` counts.
COMMENTS = "comments, left out"

_Record = dict[str, Any]


def read_doccano(path: Path, met: Counter[str], utf16: bool = False) -> list[Document]:
    """Documents of JSON Lines, with or without relations; `label` may be called `labels`."""
    return [_document(place, record, met, utf16) for place, record in read_records(path)]


def _document(place: Place, record: _Record, met: Counter[str], utf16: bool) -> Document:
    text = string(place, record.get("text"), "text")
    units = CodeUnits(text) if utf16 else None
    met[COMMENTS] += len(sequence(place, record.get("Comments", []), "Comments"))
    places: dict[int | str, int] = {}
    mentions: list[Mention] = []
    for key, begin, end, label in _entities(place, record):
        if key is not None and places.setdefault(key, len(mentions)) != len(mentions):
            raise place.broken("two entities have the same id")
        mentions.append(
            checked_mention(
                place,
                text,
                code_point_offset(place, begin, units),
                code_point_offset(place, end, units),
                string(place, label, "label"),
            )
        )
    relations = []
    for value in sequence(place, record.get("relations", []), "relations"):
        relation = mapping(place, value, "a relation")
        ends = [
            places.get(identifier(place, relation.get(key), key)) for key in ("from_id", "to_id")
        ]
        if ends[0] is None or ends[1] is None:
            raise place.broken("a relation must name the ids of two entities")
        label = string(place, relation.get("type"), "type of a relation")
        relations.append(Relation(label, ends[0], ends[1]))
    return make_document(record_id(place, record), text, mentions, relations)


def _entities(
    place: Place, record: _Record
) -> Iterator[tuple[int | str | None, object, object, object]]:
    """Id, start, end and label of each entity; entities of a `label` list have no id."""
    if "entities" in record:
        for value in sequence(place, record["entities"], "entities"):
            entity = mapping(place, value, "an entity")
            key = identifier(place, entity.get("id"), "id of an entity")
            yield key, entity.get("start_offset"), entity.get("end_offset"), entity.get("label")
        return
    for value in sequence(place, record.get("label", record.get("labels")), "label"):
        span = sequence(place, value, "a label")
        if len(span) != 3:
            raise place.broken("a label must be a list of start, end and name")
        yield None, span[0], span[1], span[2]


def write_doccano(documents: Sequence[Document], path: Path, utf16: bool = False) -> Losses:
    """Writes `label` lists, or entities and relations where a document has relations.

    The document's id goes into `doc_id`, which doccano keeps as metadata.
    """
    with_relations = any(document.relations for document in documents)
    write_json_lines(
        path,
        (
            _record(number, document, utf16, with_relations)
            for number, document in enumerate(documents, start=1)
        ),
    )
    return count_extras(documents, (ATTRIBUTES, CONCEPT_IDS, CONCEPT_RELATIONS))


def _record(number: int, document: Document, utf16: bool, with_relations: bool) -> _Record:
    units = CodeUnits(document.text if utf16 else "")
    record: _Record = {"id": number, "doc_id": document.doc_id, "text": document.text}
    spans = [
        (units.from_code_point(span.begin), units.from_code_point(span.end), span.label)
        for span in document.spans
    ]
    if not with_relations:
        return record | {"label": spans}
    entities = [
        {"id": key, "label": label, "start_offset": begin, "end_offset": end}
        for key, (begin, end, label) in enumerate(spans)
    ]
    relations = [
        {"id": key, "from_id": relation.head, "to_id": relation.tail, "type": relation.label}
        for key, relation in enumerate(document.relations)
    ]
    return record | {"entities": entities, "relations": relations}
