import json

import pytest

from tests.support.annotated_documents import (
    ASPIRIN,
    FEVER,
    TEXT,
    UNITS,
)
from training.corpora.documents import Document, make_document
from training.corpora.form_table import write_corpus
from training.corpora.forms.tools import doccano
from training.corpora.forms.tools.doccano import read_doccano
from udfs.errors import InputError
from udfs.spans import Relation


@pytest.mark.parametrize("utf16", [False, True])
@pytest.mark.parametrize("key", ["label", "labels", "entities"])
def test_doccano_lines(read, key, utf16):
    spans = [
        (*(UNITS[mention] if utf16 else (mention.begin, mention.end)), mention.label)
        for mention in (ASPIRIN, FEVER)
    ]
    record = {"id": 3, "text": TEXT, key: spans, "Comments": ["sure?"]}
    if key == "entities":
        record[key] = [
            {"id": 10 + n, "start_offset": begin, "end_offset": end, "label": label}
            for n, (begin, end, label) in enumerate(spans)
        ]
        record["relations"] = [{"id": 1, "from_id": 10, "to_id": 11, "type": "Treats"}]
    [document], met = read(read_doccano, json.dumps(record) + "\n", "x.jsonl", utf16=utf16)
    relations = (Relation("Treats", 1, 0),) if key == "entities" else ()
    assert document == Document("3", TEXT, (FEVER, ASPIRIN), relations)
    assert met == {doccano.COMMENTS: 1}


DOCCANO_ENTITY = {"id": 1, "label": "X", "start_offset": 0, "end_offset": 1}


@pytest.mark.parametrize(
    ("content", "utf16", "rule"),
    [
        ({"label": [[0, 1]]}, False, "start, end and name"),
        ({"label": [[0, 99, "X"]]}, False, "inside the text of 36 characters"),
        ({"label": [[0, 1, "X"]]}, True, "offset 1 must be a border of a character"),
        ({"label": [[0, 38, "X"]]}, True, "offset 38 must be a border of a character"),
        ({"label": [[-1, 2, "X"]]}, True, "offset -1 must be a border of a character"),
        ({}, False, "label must be a list"),
        ({"entities": [DOCCANO_ENTITY, DOCCANO_ENTITY]}, False, "the same id"),
        (
            {"entities": [{**DOCCANO_ENTITY, "id": None}]},
            False,
            "id of an entity must be a number or a string",
        ),
        (
            {
                "entities": [DOCCANO_ENTITY],
                "relations": [{"from_id": 1, "to_id": 2, "type": "Near"}],
            },
            False,
            "the ids of two entities",
        ),
    ],
)
def test_a_broken_doccano_line_is_named_with_its_rule_but_no_text(read, content, utf16, rule):
    with pytest.raises(InputError, match=r"x\.jsonl, line 2: ") as caught:
        read(read_doccano, "\n" + json.dumps({"text": TEXT, **content}), "x.jsonl", utf16=utf16)
    assert rule in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("form", ["doccano", "doccano-utf16"])
def test_doccano_gets_labels_or_entities_and_relations(tmp_path, form):
    offsets = [UNITS[m] if form == "doccano-utf16" else (m.begin, m.end) for m in (FEVER, ASPIRIN)]
    document = make_document("n", TEXT, [FEVER, ASPIRIN])
    related = make_document("m", TEXT, [FEVER, ASPIRIN], [Relation("Treats", 1, 0)])
    write_corpus(f"{form}:{tmp_path / 'plain.jsonl'}", [document])
    assert json.loads((tmp_path / "plain.jsonl").read_text()) == {
        "id": 1,
        "doc_id": "n",
        "text": TEXT,
        "label": [[*offsets[0], "Disease"], [*offsets[1], "Drug"]],
    }
    write_corpus(f"{form}:{tmp_path / 'related.jsonl'}", [document, related])
    records = [json.loads(line) for line in (tmp_path / "related.jsonl").read_text().splitlines()]
    assert [(e["start_offset"], e["end_offset"]) for e in records[0]["entities"]] == offsets
    assert records[1]["relations"] == [{"id": 0, "from_id": 1, "to_id": 0, "type": "Treats"}]
