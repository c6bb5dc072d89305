"""Whatever stands in a JSON file, it is read or refused with its place: no reader trips over it."""

import copy
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora.form_table import read_part
from udfs.errors import InputError

TEXT = "had fever"
SPAN = {"start": 4, "end": 9, "label": "X"}
REGION = {"id": "a", "type": "labels", "value": {**SPAN, "text": "fever", "labels": ["X"]}}
CHOICE = {"id": "a", "type": "choices", "from_name": "n", "value": {"choices": ["c"]}}
LINK = {"type": "relation", "from_id": "a", "to_id": "a", "direction": "bi", "labels": ["r"]}
TOKENS = [{"orth": "had", "ner": "O"}, {"orth": "fever", "ner": "U-X"}]
RECORDS = [
    ("doccano", {"id": 1, "text": TEXT, "label": [[4, 9, "X"]], "Comments": ["c"]}),
    (
        "doccano-utf16",
        {
            "text": TEXT,
            "entities": [{"id": 5, "label": "X", "start_offset": 4, "end_offset": 9}],
            "relations": [{"id": 1, "from_id": 5, "to_id": 5, "type": "r"}],
        },
    ),
    (
        "label-studio",
        {
            "id": 1,
            "data": {"text": TEXT, "doc_id": "d"},
            "annotations": [{"result": [REGION, CHOICE, LINK], "was_cancelled": False}],
            "predictions": [{}],
        },
    ),
    (
        "span-json",
        {
            "doc_id": "d",
            "text": TEXT,
            "entities": [
                {
                    **SPAN,
                    "text": "fever",
                    "fragments": [[4, 5], [6, 9]],
                    "attributes": [{"name": "n", "value": "v"}],
                    "concept_ids": ["D1"],
                }
            ],
            "relations": [{"label": "r", "head": 0, "tail": 0}],
            "concept_relations": [{"label": "r", "head": "D1", "tail": "D2"}],
        },
    ),
    ("spacy-json", [TEXT, {"entities": [[4, 9, "X"]]}]),
    ("spacy-json", {"text": TEXT, "ents": [SPAN], "spans": {"sc": [SPAN], "other": [SPAN]}}),
    (
        "spacy-json",
        {"id": 1, "paragraphs": [{"raw": TEXT, "sentences": [{"tokens": TOKENS}]}]},
    ),
]
VALUES = st.recursive(
    st.sampled_from([None, True, 0, -1, 4, 1.5, 10**20, float("nan"), "", "a", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("id"), inner),
    max_leaves=3,
)


def read(form, record):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_text(json.dumps([record]), encoding="utf-8")
        return read_part(f"{form}:{path}").documents


def places(value, path=()):
    """The path of keys to every value inside another."""
    if not isinstance(value, dict | list):
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from places(inner, (*path, key))


@pytest.mark.parametrize(("form", "record"), RECORDS)
def test_the_record_itself_is_read(form, record):
    [document] = read(form, record)
    assert [document.text[span.begin : span.end] for span in document.spans] == ["fever"]


@pytest.mark.parametrize(("form", "record"), RECORDS)
@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused(form, record, data):
    path = data.draw(st.sampled_from(list(places(record))))
    changed = copy.deepcopy(record)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(VALUES)
    try:
        documents = read(form, changed)
    except InputError as error:
        assert "x.json" in str(error)
        return
    for document in documents:
        assert all(0 <= s.begin <= s.end <= len(document.text) for s in document.spans)
        document.text.encode("utf-8")
