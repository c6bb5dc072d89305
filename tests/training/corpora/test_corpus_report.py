import json
from dataclasses import fields

import pytest
from hypothesis import given

from tests.support.annotated_documents import corpora
from training.corpora.corpus_report import CorpusReport, report_corpus
from training.corpora.documents import make_document
from training.corpora.form_table import read_part
from udfs.spans import ConceptRelation, Mention, Relation


def report(text, *mentions):
    return report_corpus([make_document("d", text, mentions)])


@pytest.mark.parametrize(
    ("mentions", "nested", "overlapping", "duplicates"),
    [
        ([(0, 3), (3, 5)], 0, 0, 0),
        ([(0, 3), (2, 5)], 0, 1, 0),
        ([(0, 5), (1, 2), (2, 5)], 2, 0, 0),
        ([(0, 5), (0, 5)], 0, 0, 1),
        ([(0, 5), (0, 5, "Y")], 1, 0, 0),
        ([(0, 5), (0, 5), (0, 3)], 1, 0, 1),
        ([(0, 4), (2, 6), (3, 8)], 0, 2, 0),
        ([(0, 8), (1, 4), (3, 6)], 2, 0, 0),
        ([(0, 3), (2, 2)], 0, 0, 0),
    ],
)
def test_overlaps(mentions, nested, overlapping, duplicates):
    spans = [Mention(begin, end, *(label or ["X"])) for begin, end, *label in mentions]
    counts = report("a b c d e", *spans)
    assert (counts.nested, counts.overlapping, counts.duplicates) == (
        *(nested, overlapping),
        duplicates,
    )


@pytest.mark.parametrize(
    ("mention", "count"),
    [
        (Mention(0, 2, "X"), "misaligned"),
        (Mention(1, 3, "X"), "misaligned"),
        (Mention(0, 6, "X", fragments=((0, 1), (4, 6))), "misaligned"),
        (Mention(0, 4, "X"), "padded"),
        (Mention(5, 5, "X"), "empty"),
        (Mention(4, 7, "X"), "behind_astral"),
        (Mention(0, 3, "X"), None),
    ],
)
def test_mentions_to_look_at(mention, count):
    counts = report("abc 1-\U0001f637", mention)
    named = ("misaligned", "padded", "empty", "behind_astral")
    assert {name: getattr(counts, name) for name in named if getattr(counts, name)} == (
        {count: 1} if count else {}
    )


def test_all_counts_of_two_documents():
    gap = Mention(0, 3, "X", fragments=((0, 1), (2, 3)), attributes=(("a", "1"), ("b", "")))
    other = Mention(4, 5, "Y", concept_ids=("D1", "D2"))
    relations = [Relation("r", 0, 1)], [ConceptRelation("CID", "D1", "D2")]
    documents = [
        make_document("d", "a b c", [gap, other], *relations),
        make_document("e", "a b", [gap]),
    ]
    counts = report_corpus(documents)
    assert counts.to_dict() == {
        **{field.name: 0 for field in fields(CorpusReport)},
        "documents": 2,
        "characters": 8,
        "mentions": 3,
        "labels": {"X": 2, "Y": 1},
        "discontinuous": 2,
        "concept_ids": 2,
        "attributes": {"a": 2, "b": 2},
        "relations": {"r": 1},
        "concept_relations": {"CID": 1},
    }
    assert json.loads(json.dumps(counts.to_dict())) == counts.to_dict()


@given(corpora())
def test_nested_and_overlapping_are_those_of_all_pairs(corpus):
    counts = report_corpus(corpus)
    nested = overlapping = 0
    for document in corpus:
        spans = list({(s.pieces, s.label): (s.begin, s.end) for s in document.spans}.values())
        spans = sorted((s for s in spans if s[0] < s[1]), key=lambda s: (s[0], -s[1]))
        for place, (begin, end) in enumerate(spans):
            before = [other for other in spans[:place] if other[1] > begin]
            inside = any(other[1] >= end for other in before)
            nested += inside
            overlapping += bool(before) and not inside
    assert (counts.nested, counts.overlapping) == (nested, overlapping)
    assert counts.mentions == counts.labels.total()


@pytest.mark.data
def test_bc5cdr_has_no_overlaps_and_few_mentions_inside_words(shared_data):
    counts = report_corpus(read_part(f"bc5cdr:{shared_data / 'bc5cdr'}").documents)
    assert (counts.nested, counts.overlapping, counts.duplicates, counts.empty) == (0, 0, 0, 0)
    assert (counts.documents, counts.mentions, counts.misaligned) == (1500, 28785, 15)
