import json

import pytest

from tests.support.annotated_documents import (
    ASPIRIN,
    FEVER,
    TEXT,
)
from training.corpora.documents import Document
from training.corpora.forms.tools import spacy_json
from training.corpora.forms.tools.spacy_json import read_spacy_json
from udfs.errors import InputError
from udfs.spans import Mention


def test_spacy_pairs(read):
    [document], _ = read(read_spacy_json, [[TEXT, {"entities": [[29, 36, "Drug"]]}]])
    assert document == Document("x.json:1", TEXT, (ASPIRIN,))


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_spacy_docs_take_the_span_group_sc_and_no_other(read, name):
    spans = [{"start": m.begin, "end": m.end, "label": m.label} for m in (FEVER, ASPIRIN)]
    wide = {"start": 0, "end": 18, "label": "Disease"}
    groups = {"sc": [spans[0], wide], "sentences": [wide]}
    record = {"text": TEXT, "ents": spans, "spans": groups}
    content = json.dumps([record] if name == "x.json" else record)
    [document], met = read(read_spacy_json, content, name)
    assert document.spans == (Mention(0, 18, "Disease"), FEVER, ASPIRIN)
    assert met == {spacy_json.OTHER_GROUPS: 1}


def paragraph(*tokens, raw=TEXT):
    return {"raw": raw, "sentences": [{"tokens": [{"orth": o, "ner": n} for o, n in tokens]}]}


TOKENS = [("\U0001f637", "O"), ("had", "O"), ("canary", "B-Disease"), ("fever", "L-Disease")]
TOKENS += [("\n", "O"), ("and", "O"), ("took", "O"), ("aspirin", "U-Drug")]


def test_spacy_v2_tokens_are_found_again_in_the_text(read):
    one, other = paragraph(*TOKENS), paragraph(("a", "O"), raw="a")
    content = [{"id": 0, "paragraphs": [one]}, {"id": 1, "paragraphs": [one, other]}]
    documents, _ = read(read_spacy_json, content)
    assert [document.doc_id for document in documents] == ["0", "1.1", "1.2"]
    assert documents[0] == Document("0", TEXT, (FEVER, ASPIRIN))
    assert documents[2] == Document("1.2", "a", ())


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        ([TEXT], "a list of text and annotations"),
        ([TEXT, {"entities": [[0, 1]]}], "start, end and label"),
        ([TEXT, {}], "entities must be a list"),
        ({"text": TEXT}, "expected a pair of text and entities"),
        ({"paragraphs": [paragraph(("lost", "O"))]}, "differ from its raw text"),
        ({"paragraphs": [paragraph(("", "O"))]}, "differ from its raw text"),
        ({"paragraphs": [paragraph(*TOKENS[:2], ("canary", "I-X"))]}, "tags must be"),
        ({"paragraphs": [paragraph(*TOKENS[:3], ("fever", "U-X"))]}, "tags must be"),
        ({"paragraphs": [paragraph(*TOKENS[:3], ("fever", "L-X"))]}, "tags must be"),
        ({"paragraphs": [paragraph(*TOKENS[:3], ("fever", "O"))]}, "tags must be"),
        ({"paragraphs": [paragraph(*TOKENS[:2], ("canary", "-"))]}, "tags must be"),
        ({"paragraphs": [paragraph(*TOKENS[:2], ("canary", "U-"))]}, "tags must be"),
        ({"paragraphs": [paragraph(*TOKENS[:3])]}, "no L- tag"),
    ],
)
def test_broken_spacy_json_is_named_with_its_rule_but_no_text(read, record, rule):
    with pytest.raises(InputError, match=r"x\.json, record 1: ") as caught:
        read(read_spacy_json, [record])
    assert rule in str(caught.value)
    assert "canary" not in str(caught.value)
