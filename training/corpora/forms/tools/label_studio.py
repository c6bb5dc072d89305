"""Label Studio's JSON export of tasks over a text, read and written.

    {"id": 1, "data": {"text": "…"}, "annotations": [{"result": [
      {"id": "a", "type": "labels", "from_name": "label", "to_name": "text",
       "value": {"start": 0, "end": 7, "text": "…", "labels": ["Drug"]}},
      {"id": "a", "type": "choices", "from_name": "assertion", "to_name": "text",
       "value": {"start": 0, "end": 7, "text": "…", "choices": ["absent"]}},
      {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["Treats"]}
    ]}]}

A choice for a region is an attribute of its mention. Offsets count code points since 2021 (Label
Studio issue 1347, pull request 1559), UTF-16 code units before. Where the file quotes a mention,
the quote is compared with the text. Format: https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.corpora.documents import Document, make_document
from training.corpora.forms.code_units import CodeUnits
from training.corpora.forms.losses import CONCEPT_IDS, CONCEPT_RELATIONS, Losses, count_extras
from training.corpora.forms.source_lines import (
    Place,
    checked_mention,
    code_point_offset,
    mapping,
    read_records,
    record_id,
    sequence,
    string,
    write_json_array,
)
from udfs.spans import Mention, Relation

# What `met` counts.
NOT_ANNOTATED = "tasks without an annotation, left out"
CANCELLED = "cancelled annotations, left out"
PREDICTIONS = "predictions, left out"
OTHER_RESULTS = "results that are no labels, choices of a mention or relations, left out"
TWO_WAY = "relations in both directions, read as one each way"

_LABELS, _TEXT = "label", "text"
_Record = dict[str, Any]


def read_label_studio(path: Path, met: Counter[str], utf16: bool = False) -> list[Document]:
    """Documents of an export (JSON, not JSON-MIN), one for each task that is annotated.

    Where a task has several annotations that were not cancelled, the one marked as ground truth is
    read. Exactly one must be marked, since we do not merge annotations.

    Raises:
        InputError: a task breaks a rule, or has several annotations and not one ground truth.
    """
    documents = []
    for place, task in read_records(path):
        met[PREDICTIONS] += len(sequence(place, task.get("predictions", []), "predictions"))
        annotation = _annotation(place, task, met)
        if annotation is None:
            met[NOT_ANNOTATED] += 1
        else:
            documents.append(_Task(place, task, met, utf16).read(annotation))
    return documents


def _annotation(place: Place, task: _Record, met: Counter[str]) -> _Record | None:
    given = [
        mapping(place, annotation, "an annotation")
        for annotation in sequence(place, task.get("annotations"), "annotations")
    ]
    done = [annotation for annotation in given if not annotation.get("was_cancelled")]
    met[CANCELLED] += len(given) - len(done)
    if len(done) > 1:
        done = [annotation for annotation in done if annotation.get("ground_truth")]
        if len(done) != 1:
            raise place.broken("several annotations: mark one as ground truth")
    return done[0] if done else None


class _Task:
    def __init__(self, place: Place, task: _Record, met: Counter[str], utf16: bool) -> None:
        self._place = place
        self._met = met
        data = mapping(place, task.get("data"), "data")
        self._doc_id = record_id(place, {**task, **data})
        self._text = string(place, data.get(_TEXT), "data.text")
        self._units = CodeUnits(self._text) if utf16 else None
        self._mentions: list[Mention] = []
        self._places: defaultdict[str, list[int]] = defaultdict(list)

    def read(self, annotation: _Record) -> Document:
        """The document of one annotation of the task."""
        results = [
            mapping(self._place, result, "a result")
            for result in sequence(self._place, annotation.get("result"), "result")
        ]
        for result in results:
            if result.get("type") == "labels":
                self._add_mentions(result)
        relations: list[Relation] = []
        for result in results:
            kind = result.get("type")
            if kind == "relation":
                relations += self._relations(result)
            elif kind == "choices" and self._key(result) in self._places:
                self._add_choices(result)
            elif kind != "labels":
                self._met[OTHER_RESULTS] += 1
        return make_document(self._doc_id, self._text, self._mentions, relations)

    def _add_mentions(self, result: _Record) -> None:
        place, value = self._place, mapping(self._place, result.get("value"), "value")
        key = self._key(result)
        for label in sequence(place, value.get("labels"), "labels"):
            self._places[key].append(len(self._mentions))
            self._mentions.append(
                checked_mention(
                    place,
                    self._text,
                    code_point_offset(place, value.get("start"), self._units),
                    code_point_offset(place, value.get("end"), self._units),
                    string(place, label, "a label"),
                    value.get("text"),
                )
            )

    def _key(self, result: _Record) -> str:
        return string(self._place, result.get("id"), "id of a result")

    def _add_choices(self, result: _Record) -> None:
        place, value = self._place, mapping(self._place, result.get("value"), "value")
        name = string(place, result.get("from_name"), "from_name")
        choices = [
            (name, string(place, choice, "a choice"))
            for choice in sequence(place, value.get("choices"), "choices")
        ]
        for number in self._places[self._key(result)]:
            mention = self._mentions[number]
            attributes = tuple(sorted([*mention.attributes, *choices]))
            self._mentions[number] = replace(mention, attributes=attributes)

    def _relations(self, result: _Record) -> Iterator[Relation]:
        place = self._place
        ends = [
            self._places.get(string(place, result.get(key), key), [])
            for key in ("from_id", "to_id")
        ]
        if [len(end) for end in ends] != [1, 1]:
            raise place.broken("a relation must name two results of type labels with one label")
        head, tail = ends[0][0], ends[1][0]
        direction = result.get("direction", "right")
        if direction not in ("right", "left", "bi"):
            raise place.broken("the direction of a relation must be right, left or bi")
        self._met[TWO_WAY] += direction == "bi"
        labels = sequence(place, result.get("labels") or [""], "labels")
        for label in (string(place, label, "a label") for label in labels):
            if direction != "left":
                yield Relation(label, head, tail)
            if direction != "right":
                yield Relation(label, tail, head)


def write_label_studio(documents: Sequence[Document], path: Path, utf16: bool = False) -> Losses:
    """Writes tasks for import, and returns what is lost.

    The labelling interface needs `<Text name="text" value="$text"/>`,
    `<Labels name="label" toName="text">`, and a `<Choices perRegion="true">` with the name of each
    attribute.
    """
    tasks = (_task(number, document, utf16) for number, document in enumerate(documents, start=1))
    write_json_array(path, tasks)
    return count_extras(documents, (CONCEPT_IDS, CONCEPT_RELATIONS))


def _task(number: int, document: Document, utf16: bool) -> _Record:
    units = CodeUnits(document.text if utf16 else "")
    results: list[_Record] = []
    for key, mention in enumerate(document.spans):
        span: _Record = {
            "start": units.from_code_point(mention.begin),
            "end": units.from_code_point(mention.end),
            "text": document.text[mention.begin : mention.end],
        }
        region: _Record = {"id": f"m{key}", "to_name": _TEXT}
        labels = {"type": "labels", "from_name": _LABELS}
        results.append(region | labels | {"value": span | {"labels": [mention.label]}})
        for name, choice in mention.attributes:
            choices = {"type": "choices", "from_name": name}
            results.append(region | choices | {"value": span | {"choices": [choice]}})
    for relation in document.relations:
        results.append(
            {
                "type": "relation",
                "from_id": f"m{relation.head}",
                "to_id": f"m{relation.tail}",
                "direction": "right",
                "labels": [relation.label] if relation.label else [],
            }
        )
    data = {"text": document.text, "doc_id": document.doc_id}
    return {"id": number, "data": data, "annotations": [{"result": results}]}
