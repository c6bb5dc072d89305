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
from training.corpora.forms.tools import label_studio
from training.corpora.forms.tools.label_studio import read_label_studio
from udfs.errors import InputError
from udfs.spans import Mention, Relation


def region(mention, key, utf16=False, **value):
    begin, end = UNITS[mention] if utf16 else (mention.begin, mention.end)
    span = {"start": begin, "end": end, "text": TEXT[mention.begin : mention.end]}
    content = {**span, "labels": [mention.label], **value}
    return {"id": key, "type": "labels", "from_name": "label", "to_name": "text", "value": content}


def task(*results, **more):
    return {"id": 5, "data": {"text": TEXT}, "annotations": [{"result": list(results)}], **more}


CHOICE = {"id": "a", "type": "choices", "from_name": "assertion", "value": {"choices": ["absent"]}}
LINK = {"type": "relation", "from_id": "b", "to_id": "a", "direction": "right", "labels": ["Near"]}


@pytest.mark.parametrize("utf16", [False, True])
def test_label_studio_regions_choices_and_relations(read, utf16):
    results = [CHOICE, LINK, region(ASPIRIN, "b", utf16), region(FEVER, "a", utf16)]
    [document], met = read(read_label_studio, [task(*results)], utf16=utf16)
    absent = Mention(6, 18, "Disease", attributes=(("assertion", "absent"),))
    assert document == Document("5", TEXT, (absent, ASPIRIN), (Relation("Near", 1, 0),))
    assert met == {}


def test_label_studio_offsets_in_the_wrong_unit_are_refused(read):
    with pytest.raises(InputError, match="record 1: the mention differs from the text at 7-19"):
        read(read_label_studio, [task(region(FEVER, "a", utf16=True))])
    with pytest.raises(InputError, match="record 1: the mention differs from the text at 5-17"):
        read(read_label_studio, [task(region(FEVER, "a"))], utf16=True)
    # Not every version quotes the mention.
    [document], _ = read(read_label_studio, [task(region(FEVER, "a", text=None))])
    assert document.spans == (FEVER,)


@pytest.mark.parametrize(
    ("change", "relations", "met"),
    [
        ({"direction": "left"}, [Relation("Near", 0, 1)], {}),
        (
            {"direction": "bi"},
            [Relation("Near", 0, 1), Relation("Near", 1, 0)],
            {label_studio.TWO_WAY: 1},
        ),
        ({"labels": ["Near", "By"]}, [Relation("By", 1, 0), Relation("Near", 1, 0)], {}),
        ({"labels": []}, [Relation("", 1, 0)], {}),
    ],
)
def test_label_studio_directions(read, change, relations, met):
    results = [region(FEVER, "a"), region(ASPIRIN, "b"), {**LINK, **change}]
    [document], counted = read(read_label_studio, [task(*results)])
    assert (list(document.relations), counted) == (relations, met)


def test_label_studio_says_what_it_leaves_out(read):
    done = {"result": [region(FEVER, "a"), {"type": "rating", "value": {"rating": 3}}, CHOICE]}
    tasks = [
        task(annotations=[done, {**done, "was_cancelled": True}], predictions=[{}, {}]),
        task(annotations=[]),
        task(annotations=[{"result": [{**CHOICE, "id": "whole text"}]}], id=6),
        task(annotations=[{**done, "result": []}, {**done, "ground_truth": True}], id=7),
    ]
    documents, met = read(read_label_studio, tasks)
    assert [(document.doc_id, len(document.spans)) for document in documents] == [
        ("5", 1),
        ("6", 0),
        ("7", 1),
    ]
    assert met == {
        label_studio.CANCELLED: 1,
        label_studio.PREDICTIONS: 2,
        label_studio.NOT_ANNOTATED: 1,
        label_studio.OTHER_RESULTS: 3,
    }


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (task(annotations=[{"result": []}, {"result": []}]), "mark one as ground truth"),
        (task(annotations=None), "annotations must be a list"),
        (task(data=None), "data must be an object"),
        (task(data={"html": TEXT}), "data.text must be a string"),
        (task(LINK), "a relation must name two results"),
        (task(region(FEVER, "a", labels=["X", "Y"]), {**LINK, "from_id": "a"}), "with one label"),
        (task(region(FEVER, "a"), {**LINK, "from_id": "a", "direction": "up"}), "right, left or"),
        (task(region(FEVER, None)), "id of a result must be a string"),
        (task(region(FEVER, "a", start="/p[1]")), "an offset must be a whole number"),
    ],
)
def test_a_broken_task_is_named_with_its_rule_but_no_text(read, broken, rule):
    with pytest.raises(InputError, match=r"x\.json, record 2: ") as caught:
        read(read_label_studio, [task(), broken])
    assert rule in str(caught.value)
    assert "canary" not in str(caught.value)


def test_label_studio_gets_tasks_that_it_can_import(tmp_path):
    absent = Mention(6, 18, "Disease", attributes=(("assertion", "absent"),))
    document = make_document("n", TEXT, [absent, ASPIRIN], [Relation("Near", 1, 0)])
    write_corpus(f"label-studio:{tmp_path / 'tasks.json'}", [document])
    [written_task] = json.loads((tmp_path / "tasks.json").read_text())
    span = {"start": 6, "end": 18, "text": "canary fever"}
    labels, choices, _, relation = written_task["annotations"][0]["result"]
    assert written_task["data"] == {"text": TEXT, "doc_id": "n"}
    assert labels == region(FEVER, "m0")
    assert choices == {
        **labels,
        "type": "choices",
        "from_name": "assertion",
        "value": {**span, "choices": ["absent"]},
    }
    assert relation == {**LINK, "from_id": "m1", "to_id": "m0"}
