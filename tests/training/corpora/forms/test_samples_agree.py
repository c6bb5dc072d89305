import json

import pytest

from training.corpora.form_table import read_part

SAMPLES = {
    "doccano": ["doccano/doccano_label.jsonl", "doccano/doccano_relation.jsonl"],
    "label-studio": ["label_studio/export.json"],
    "span-json": ["span_json/notes.json"],
    "spacy-json": [f"spacy/{name}" for name in ("train_data.json", "doc_to_json.jsonl")]
    + ["spacy/v2_training.json"],
    "inline": ["inline"],
}


@pytest.mark.data
@pytest.mark.parametrize(
    ("form", "name"), [(form, name) for form, names in SAMPLES.items() for name in names]
)
def test_the_samples_say_the_same(formats, form, name):
    expected = json.loads((formats / "span_json" / "notes.json").read_text(encoding="utf-8"))
    reading = read_part(f"{form}:{formats / name}")
    assert [document.text for document in reading.documents] == [e["text"] for e in expected]
    for document, record in zip(reading.documents, expected, strict=True):
        lower = form == "inline"
        assert [(span.begin, span.end, span.label) for span in document.spans] == [
            (e["start"], e["end"], e["label"].lower() if lower else e["label"])
            for e in record["entities"]
        ]
        assert [document.text[span.begin : span.end] for span in document.spans] == [
            e["text"] for e in record["entities"]
        ]
    assert sum(len(document.spans) for document in reading.documents) == 15
    has_relations = form == "label-studio" or "relation" in name
    relations = [relation for document in reading.documents for relation in document.relations]
    assert len(relations) == (6 if has_relations else 0)
    assert reading.met == {}


@pytest.mark.data
def test_doccano_and_label_studio_samples_relate_the_same_mentions(formats):
    doccano_sample = read_part(f"doccano:{formats / SAMPLES['doccano'][1]}").documents
    studio_sample = read_part(f"label-studio:{formats / SAMPLES['label-studio'][0]}").documents
    relations = [document.relations for document in doccano_sample]
    assert relations == [document.relations for document in studio_sample]
    first = [(r.label, r.head, r.tail) for r in relations[0]]
    assert first == [("TREATS", 1, 0), ("DOSAGE_OF", 2, 1)]
