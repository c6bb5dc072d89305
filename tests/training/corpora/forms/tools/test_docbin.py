import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.annotated_documents import corpora, plain_spans, written
from training.corpora.documents import make_document
from training.corpora.form_table import read_part, write_corpus
from training.corpora.forms import losses
from training.corpora.forms.tools import spacy_json
from training.corpora.forms.tools.docbin import read_docbin
from udfs.errors import InputError
from udfs.spans import Mention, Relation

spacy = pytest.importorskip("spacy")

# Making a Doc takes milliseconds.
few = settings(max_examples=40, deadline=None)


@st.composite
def tokenized_documents(draw):
    """Words that are tokens of spaCy's, and mentions that are runs of words."""
    words = draw(st.lists(st.sampled_from(["fever", "é", "\U0001f637", "漢"]), min_size=1))
    begins = [sum(len(word) + 1 for word in words[:n]) for n in range(len(words) + 1)]
    place = st.integers(0, len(words) - 1)
    runs = draw(st.lists(st.tuples(place, place), max_size=4))
    ids = st.lists(st.sampled_from(["D1", "OMIM:2"]), max_size=2)
    mentions = [
        Mention(begins[min(run)], begins[max(run) + 1] - 1, "A b", concept_ids=tuple(draw(ids)))
        for run in runs
    ]
    return make_document("d", " ".join(words), mentions)


@few
@given(tokenized_documents())
def test_what_a_docbin_can_hold_comes_back(document):
    with written("docbin", [document], "x.spacy") as (lost, read_again):
        assert set(lost) <= {losses.NOT_IN_ENTS}
        assert read_again() == [document]


@few
@given(corpora(discontinuous=False))
def test_any_corpus_comes_back_unless_a_loss_is_counted(corpus):
    with written("docbin", corpus, "x.spacy") as (lost, read_again):
        again = read_again()
    assert [found.text for found in again] == [given.text for given in corpus]
    mentions = sum(len(spans) for spans in plain_spans(corpus)) - lost[losses.WITHOUT_WORD]
    assert sum(len(spans) for spans in plain_spans(again)) == mentions
    assert set(lost) - {losses.NOT_IN_ENTS} or again == corpus


def test_what_spacy_sees(tmp_path):
    mentions = [Mention(0, 11, "Disease", concept_ids=("D1", "D|2")), Mention(6, 11, "Sign")]
    mentions += [Mention(18, 25, "Drug"), Mention(13, 15, "X")]
    document = make_document("n", "Acute fever after aspirin", mentions, [Relation("Near", 0, 1)])
    lost = write_corpus(f"docbin:{tmp_path / 'x.spacy'}", [document])
    assert lost == {
        losses.RELATIONS: 1,
        losses.CONCEPT_IDS: 1,
        losses.MOVED_BORDERS: 1,
        losses.NOT_IN_ENTS: 1,
    }
    docbin = spacy.tokens.DocBin().from_disk(tmp_path / "x.spacy")
    [doc] = docbin.get_docs(spacy.blank("en").vocab)
    found = [(span.text, span.label_) for span in doc.ents]
    assert found == [("Acute fever", "Disease"), ("after", "X"), ("aspirin", "Drug")]
    assert doc.ents[0].kb_id_ == "D1"
    assert [span.text for span in doc.spans["sc"]] == [
        *("Acute fever", "fever", "after", "aspirin")
    ]


def test_ents_and_the_span_group_are_read_once(tmp_path):
    doc = spacy.blank("en").make_doc("Fever and chills")
    chills = spacy.tokens.Span(doc, 2, 3, label="Sign")
    doc.set_ents([spacy.tokens.Span(doc, 0, 1, label="Sign"), chills])
    doc.spans["sc"] = [chills]
    doc.spans["sentences"] = [spacy.tokens.Span(doc, 0, 3, label="S")]
    spacy.tokens.DocBin(docs=[doc]).to_disk(tmp_path / "x.spacy")
    reading = read_part(f"docbin:{tmp_path / 'x.spacy'}")
    expected = make_document(
        "x.spacy:1", doc.text, [Mention(0, 5, "Sign"), Mention(10, 16, "Sign")]
    )
    assert reading.documents == [expected]
    assert reading.met == {spacy_json.OTHER_GROUPS: 1}


@pytest.mark.parametrize("content", [b"", b"canary", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_damaged_docbin_is_refused(write, content):
    with pytest.raises(InputError, match=r"x\.spacy: not a DocBin, or damaged") as caught:
        read_docbin(write("x.spacy", content), Counter())
    assert "canary" not in str(caught.value)


def test_without_spacy_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(InputError, match=r"pip install 'spacy==3\.8\.\*'"):
        write_corpus(f"docbin:{tmp_path / 'x.spacy'}", [make_document("n", "x", [])])
    with pytest.raises(InputError, match="pip install"):
        read_docbin(tmp_path / "x.spacy", Counter())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
def test_the_samples_go_through_a_docbin(formats):
    sample = read_part(f"span-json:{formats / 'span_json' / 'notes.json'}").documents
    sample = [replace(document, doc_id=f"d{n}") for n, document in enumerate(sample)]
    with written("docbin", sample, "x.spacy") as (lost, read_again):
        again = read_again()
    assert plain_spans(again) == plain_spans(sample)
    assert (lost, again) == ({}, sample)
