import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotated_documents import (
    TEXT,
    corpora,
    written,
)
from training.corpora.documents import Document
from training.corpora.forms.tools.span_json import read_span_json
from udfs.errors import InputError
from udfs.spans import ConceptRelation, Mention, Relation


def test_span_json_with_all_that_it_can_say(read):
    record = {
        "doc_id": "n",
        "text": TEXT,
        "entities": [
            {"start": 29, "end": 36, "label": "Drug", "text": "aspirin", "concept_ids": ["D1"]},
            {"start": 6, "end": 24, "label": "Disease", "fragments": [[6, 18], [20, 24]]},
            {"begin": 6, "end": 18, "label": "Disease", "attributes": [{"name": "a", "value": ""}]},
        ],
        "relations": [{"label": "Causes", "head": 0, "tail": 2}],
        "concept_relations": [{"label": "CID", "head": "D1", "tail": "D2"}],
    }
    [document], met = read(read_span_json, [record])
    assert met == {}
    assert document == Document(
        "n",
        TEXT,
        (
            Mention(6, 18, "Disease", attributes=(("a", ""),)),
            Mention(6, 24, "Disease", fragments=((6, 18), (20, 24))),
            Mention(29, 36, "Drug", concept_ids=("D1",)),
        ),
        (Relation("Causes", 2, 0),),
        (ConceptRelation("CID", "D1", "D2"),),
    )


def test_ids_come_from_the_record_or_from_its_place(read):
    bodies = [{"note_id": "n"}, {"id": 7}, {"id": True}, {"doc_id": "", "id": "x"}]
    lines = "\ufeff" + "\n\n".join(json.dumps({"text": "", "spans": [], **b}) for b in bodies)
    documents, _ = read(read_span_json, lines + "\n", name="x.jsonl")
    assert [document.doc_id for document in documents] == ["n", "7", "x.jsonl:5", "x"]


ENTITY = {"start": 6, "end": 18, "label": "Disease"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"start": 19}, "offsets 19-18 must lie inside the text of 36 characters"),
        ({"end": 37}, "offsets 6-37 must lie inside"),
        ({"start": -1}, "offsets -1-18 must lie inside"),
        ({"text": "canary fevers"}, "the mention differs from the text at 6-18"),
        ({"label": ""}, "the label is empty"),
        ({"label": None}, "label must be a string"),
        ({"label": "\ud83d"}, "half of a surrogate pair"),
        ({"start": "6"}, "start must be a whole number"),
        ({"start": True}, "start must be a whole number"),
        ({"fragments": [[6, 18]]}, "two or more pairs"),
        ({"fragments": [[6, 7], [8]]}, "two or more pairs"),
        ({"fragments": [[6, 7], [8, 17]]}, "from start to end"),
        ({"fragments": [[6, 10], [9, 18]]}, "apart"),
        ({"concept_ids": "D1"}, "concept_ids must be a list"),
        ({"attributes": [["a", "b"]]}, "an annotation must be an object"),
    ],
)
def test_a_broken_entity_is_named_with_its_rule_but_no_text(read, change, rule):
    records = [{"text": "", "entities": []}, {"text": TEXT, "entities": [{**ENTITY, **change}]}]
    with pytest.raises(InputError, match=r"x\.json, record 2: ") as caught:
        read(read_span_json, records)
    assert rule in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ('[\n{"text": "canary"\n]', "line 3: not JSON: "),
        ('{"text": "", "spans": []}\n{"canary', "line 2: not JSON: "),
        ("[" * 100_000, "nested too deep"),
        ('[{"text": "", "entities": [{"start": ' + "9" * 5000 + "}]}]", "too long a number"),
        ('["canary"]', "record 1: a record must be an object"),
        ('[{"text": 1}]', "record 1: text must be a string"),
        ('[{"text": "\\ud83d", "spans": []}]', "record 1: text holds half of a surrogate pair"),
        ('[{"text": ""}]', "record 1: entities must be a list"),
        (
            '[{"text": "", "spans": [], "relations": [{"label": "x", "head": 0, "tail": 0}]}]',
            "must be places in entities",
        ),
    ],
)
def test_what_is_no_span_json_names_its_place(read, content, rule):
    with pytest.raises(InputError) as caught:
        read(read_span_json, content)
    assert rule in str(caught.value)
    assert "canary" not in str(caught.value)


@given(corpora(), st.sampled_from(["x.json", "x.jsonl"]))
def test_span_json_holds_every_document(corpus, name):
    with written("span-json", corpus, name) as (lost, read_again):
        assert (lost, read_again()) == ({}, corpus)
