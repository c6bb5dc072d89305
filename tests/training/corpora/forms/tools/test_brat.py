from collections import Counter

import pytest
from hypothesis import given

from tests.support.annotated_documents import (
    PLAIN_NAMES,
    corpora,
    documents,
    written,
)
from training.corpora.documents import make_document
from training.corpora.form_table import read_part, write_corpus
from training.corpora.forms import losses
from training.corpora.forms.tools import brat
from training.corpora.forms.tools.brat import read_brat
from udfs.errors import InputError
from udfs.spans import Mention, Relation

TEXT = "Calcium and\r\n zinc salts \U0001f637 for\ncramps\n"
ANNOTATIONS = """\
T1\tDrug 0 7;19 24\tCalcium salts
T2\tDrug 14 24\tzinc salts
T3\tReason 31 37\tcramps
T4\tPhrase 27 30;31 37\tfor cramps
T5\tFace 25 26\t\U0001f637
R1\tReason-Drug Arg1:T3 Arg2:T2
A1\tNegation T3
A2\tCertainty T3 low
N1\tReference T2 MeSH:D015032\tZinc
N2\tReference T2 concept:Z1\tZinc
"""


@pytest.fixture
def read(write, tmp_path):
    """Reads a folder of one document; returns it and what was met."""

    def read_folder(annotations, text=TEXT):
        write("in/a/n.txt", text)
        write("in/a/n.ann", annotations)
        met = Counter()
        [document] = read_brat(tmp_path / "in", met)
        return document, +met

    return read_folder


def test_mentions_relations_attributes_and_ids(read):
    document, met = read(ANNOTATIONS)
    reason = (("Certainty", "low"), ("Negation", ""))
    assert (document.doc_id, document.text) == ("a/n", TEXT)
    assert document.spans == (
        Mention(0, 24, "Drug", fragments=((0, 7), (19, 24))),
        Mention(14, 24, "Drug", concept_ids=("MeSH:D015032", "Z1")),
        Mention(25, 26, "Face"),
        Mention(27, 37, "Phrase"),
        Mention(31, 37, "Reason", attributes=reason),
    )
    assert document.relations == (Relation("Reason-Drug", 4, 1),)
    assert met == {brat.JOINED: 1}


def test_what_has_no_place_in_a_document_is_counted(read):
    lines = [
        "#1\tAnnotatorNotes T1\tsure?",
        "E1\tGiving:T1 Why:T2",
        "*\tEquiv T1 T2",
        "A1\tNegation E1",
        "R1\tNear Arg1:E1 Arg2:T1",
        "M1\tNegation R2",
        "R2\tNear Arg1:T1 Arg2:T2",
        "T1\tDrug 0 7\tCalcium",
        "T2\tDrug 14 18\tzinc",
        "",
    ]
    document, met = read("\r\n".join(lines))
    assert len(document.spans) == 2
    assert document.relations == (Relation("Near", 0, 1),)
    left_out = dict.fromkeys(brat.LEFT_OUT.values(), 1)
    assert met == {**left_out, brat.OF_EVENTS: 3}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("T2\tDrug 0 7\tPotassium", "differs from the text at 0-7"),
        ("T2\tDrug 0 7;14 18\tCalcium lead", "differs from the text of its fragments"),
        ("T2\tDrug 0 99\tCalcium", "inside the text of 38 characters"),
        ("T2\tDrug 14 18;0 7\tzinc Calcium", "in text order"),
        ("T2\tDrug 0 3;3 7\tCal cium", "apart"),
        ("T2\tDrug 0 7;9 9\tCalcium ", "not empty"),
        ("T2\tDrug 0:7\tCalcium", "LABEL begin end"),
        ("T2\tDrug 0 7", "expected T, R"),
        ("T1\tDrug 0 7\tCalcium", "only once"),
        ("X1\tDrug", "expected T, R"),
        ("Calcium", "expected T, R"),
        ("\tCalcium", "expected T, R"),
        ("R1\tNear T1 T1", "LABEL ROLE:ID ROLE:ID"),
        ("R1\tNear Arg1:T1 Arg2:T9", "not in the file"),
        ("A1\tNegation T9", "not in the file"),
        ("A1\tNegation", "NAME ID"),
        ("N1\tReference T1", "Reference ID RESOURCE:ID"),
    ],
)
def test_a_broken_line_is_named_with_its_rule_but_no_text(read, line, rule):
    with pytest.raises(InputError, match=r"n\.ann, line 2: ") as caught:
        read(f"T1\tDrug 0 7\tCalcium\n{line}\n")
    assert rule in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Calcium", "Potassium", "zinc", "lead"))


def test_a_mention_over_a_line_break_in_one_piece_is_quoted_with_a_space(read):
    assert read("T1\tX 27 37\tfor cramps")[0].spans == (Mention(27, 37, "X"),)
    assert read("T1\tX 8 18\tand  zinc")[0].spans == (Mention(8, 18, "X"),)


def test_text_and_annotations_come_in_pairs(write, tmp_path):
    with pytest.raises(InputError, match=r"holds no \.txt file"):
        read_brat(tmp_path, Counter())
    write("a.txt", "x")
    with pytest.raises(InputError, match=r"a\.txt has no \.ann beside it"):
        read_brat(tmp_path, Counter())
    write("a.ann", "")
    write("b.ann", "")
    with pytest.raises(InputError, match=r"b\.ann has no \.txt beside it"):
        read_brat(tmp_path, Counter())


def test_what_is_written_is_brat(tmp_path):
    mentions = [
        Mention(0, 24, "Drug", fragments=((0, 7), (19, 24))),
        Mention(8, 18, "Odd", attributes=(("Negation", ""), ("Sure", "a b")), concept_ids=("Z1",)),
    ]
    document = make_document("a/n", TEXT, mentions, [Relation("Near", 1, 0)])
    lost = write_corpus(f"brat:{tmp_path / 'out'}", [document])
    assert lost == {losses.RENAMED: 1}
    assert (tmp_path / "out/a/n.txt").read_bytes().decode() == TEXT
    assert (tmp_path / "out/a/n.ann").read_bytes().decode().splitlines() == [
        "T1\tDrug 0 7;19 24\tCalcium salts",
        "T2\tOdd 8 11;14 18\tand zinc",
        "A1\tNegation T2",
        "A2\tSure T2 a_b",
        "N1\tReference T2 concept:Z1\tand zinc",
        "R1\tNear Arg1:T2 Arg2:T1",
    ]


@pytest.mark.parametrize(
    ("mention", "lost", "kept"),
    [
        (Mention(0, 0, "X"), {losses.EMPTY: 1, losses.RELATIONS: 1}, 0),
        (Mention(11, 18, "X"), {losses.BROKEN_ENDS: 1, losses.RELATIONS: 1}, 0),
        (Mention(12, 13, "X"), {losses.BROKEN_ENDS: 1, losses.RELATIONS: 1}, 0),
        (Mention(0, 18, "X", fragments=((0, 11), (14, 18))), {losses.BREAK_GAPS: 1}, 1),
        (Mention(0, 7, "X Y"), {losses.RENAMED: 1}, 1),
        (Mention(0, 7, "X", concept_ids=("a b", "")), {losses.CONCEPT_IDS: 2}, 1),
    ],
)
def test_what_brat_cannot_hold_is_counted(mention, lost, kept):
    document = make_document("n", TEXT, [mention], [Relation("Self", 0, 0)])
    with written("brat", [document]) as (counted, read_again):
        assert counted == lost
        [again] = read_again()
    assert again.text == TEXT
    assert len(again.spans) == len(again.relations) == kept


@pytest.mark.parametrize("doc_id", ["", "..", "a/../b", "/a", "a//b", "a\0b", "a\nb", "x" * 201])
def test_an_id_that_is_no_file_name_is_refused_and_nothing_is_written(tmp_path, doc_id):
    documents = [make_document("fine", "x", []), make_document(doc_id, "x", [])]
    with pytest.raises(InputError, match="document 2: its id cannot be the name of a file"):
        write_corpus(f"brat:{tmp_path / 'out'}", documents)
    assert list(tmp_path.iterdir()) == []


@given(corpora(names=PLAIN_NAMES, concept_relations=False))
def test_any_corpus_comes_back_unless_a_loss_is_counted(corpus):
    with written("brat", corpus) as (lost, read_again):
        again = read_again() if corpus else []
    assert [found.text for found in again] == [given.text for given in corpus]
    assert lost or again == corpus
    mentions = sum(len(given.spans) for given in corpus)
    dropped = lost[losses.EMPTY] + lost[losses.BROKEN_ENDS]
    assert sum(len(found.spans) for found in again) == mentions - dropped
    assert set(lost) <= {losses.EMPTY, losses.BROKEN_ENDS, losses.BREAK_GAPS, losses.RELATIONS}


@given(documents())
def test_no_name_breaks_the_file(document):
    with written("brat", [document]) as (lost, read_again):
        [again] = read_again()
    assert again.text == document.text
    assert lost or again == document


@pytest.mark.data
def test_the_n2c2_sample_has_its_counts(formats):
    reading = read_part(f"brat:{formats / 'n2c2_2018_track2'}")
    spans = [span for document in reading.documents for span in document.spans]
    relations = [relation for document in reading.documents for relation in document.relations]
    assert (len(reading.documents), len(spans), len(relations)) == (3, 90, 73)
    labels = {"Drug", "Strength", "Form", "Dosage", "Frequency", "Route", "Duration", "Reason"}
    assert {span.label for span in spans} == labels | {"ADE"}
    assert {r.label for r in relations} == {f"{label}-Drug" for label in labels - {"Drug"}} | {
        "ADE-Drug"
    }
    for document in reading.documents:
        for relation in document.relations:
            assert document.spans[relation.tail].label == "Drug"
            assert f"{document.spans[relation.head].label}-Drug" == relation.label
    assert reading.met == {brat.JOINED: 6, brat.LEFT_OUT["#"]: 1}


@pytest.mark.data
def test_the_traps_of_the_n2c2_sample(formats):
    documents = read_part(f"brat:{formats / 'n2c2_2018_track2'}").documents
    texts = {
        (d.doc_id, span.label, " ".join(d.text[b:e] for b, e in span.pieces))
        for d in documents
        for span in d.spans
    }
    assert ("900002", "ADE", "shortness\nof breath") in texts
    assert ("900003", "Frequency", "every\nmorning\nbefore breakfast") in texts
    assert ("900003", "Strength", "75 µg") in texts
    [gap] = [span for d in documents for span in d.spans if span.fragments]
    assert gap == Mention(405, 436, "Drug", fragments=((405, 412), (427, 436)))
    assert ("900002", "Drug", "calcium carbonate") in texts
