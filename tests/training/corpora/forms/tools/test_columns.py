from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotated_documents import corpora, written
from training.corpora.documents import Document, make_document
from training.corpora.forms import losses
from training.corpora.forms.tools.columns import IOB1, read_bc5cdr_tsv, read_conll
from udfs.errors import InputError
from udfs.spans import Mention


def test_tsv_sentences_become_documents(write):
    content = "Selegiline\tB-Chemical\n-\tO\ninduced\tO\n\nheart\tB-Disease\nfailure\tI-Disease"
    assert read_bc5cdr_tsv(write("train.tsv", content)) == [
        Document("train.tsv:1", "Selegiline - induced", (Mention(0, 10, "Chemical"),)),
        Document("train.tsv:5", "heart failure", (Mention(0, 13, "Disease"),)),
    ]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("a\tO\nb\tI-Disease", "must follow"),
        ("a\tB-Chemical\nb\tI-Disease", "must follow"),
        ("a\tO\nb", "1 columns"),
        ("a\tO\nb\tO\tO", "3 columns"),
        ("a\tO\n \tO\tO", "3 columns"),
        ("a\tO\nb\tX-Disease", "must be O"),
        ("a\tO\nb\tB-", "must be O"),
    ],
)
def test_broken_tsv_names_its_line(write, content, rule):
    with pytest.raises(InputError, match=f"dev.tsv, line 2: .*{rule}"):
        read_bc5cdr_tsv(write("dev.tsv", content))


CONLL_2003 = """-DOCSTART- -X- -X- O

No DT B-NP O
chest NN B-NP {0}
pain NN I-NP I-SYMPTOM
fever NN I-NP B-SYMPTOM

Aspirin NN B-NP {1}

-DOCSTART- (second)

None NN B-NP O
"""


def test_a_column_file_with_documents(write):
    path = write("a.conll", CONLL_2003.format("B-SYMPTOM", "B-DRUG"))
    spans = (Mention(3, 13, "SYMPTOM"), Mention(14, 19, "SYMPTOM"), Mention(20, 27, "DRUG"))
    expected = [
        Document("a.conll:1", "No chest pain fever\nAspirin", spans),
        Document("second", "None", ()),
    ]
    assert read_conll(path, Counter()) == expected
    iob1 = write("a.conll", CONLL_2003.format("I-SYMPTOM", "I-DRUG"))
    assert read_conll(iob1, Counter(), IOB1) == expected
    with pytest.raises(InputError, match=r"line 4: .*\(IOB2\)"):
        read_conll(iob1, Counter())
    with pytest.raises(InputError, match=r"line 4: .*\(IOB1\)"):
        read_conll(write("b.conll", CONLL_2003.format("B-SYMPTOM", "I-DRUG")), Counter(), IOB1)


def test_without_document_lines_each_sentence_is_a_document(write):
    path = write("a.conll", "x y\tO\r\nb\tB-A b\r\n \t \r\nc\tO\r\n")
    assert read_conll(path, Counter()) == [
        Document("a.conll:1", "x y b", (Mention(4, 5, "A b"),)),
        Document("a.conll:4", "c", ()),
    ]


@pytest.mark.parametrize(
    ("line", "content", "rule"),
    [
        (2, "a N O\nb O", "3 columns"),
        (1, "a", "2 columns"),
        (2, "a\tO\n\tO", "2 columns"),
        (1, "a B", "must be O"),
        (3, "a O\n\n-DOCSTART-", "before the first"),
        (4, "a B-X\n\nb O\nc I-X", "must follow"),
    ],
)
def test_a_broken_column_file_names_its_line(write, line, content, rule):
    with pytest.raises(InputError, match=f"x.conll, line {line}: .*{rule}"):
        read_conll(write("x.conll", content), Counter())


def document(text, *spans, doc_id="n"):
    return make_document(doc_id, text, [Mention(*span) for span in spans])


def test_the_file_has_a_line_for_each_token(tmp_path):
    text = "Has type-2 DM."
    with written("conll", [document(text, (4, 13, "Disease"))]) as (lost, read_again):
        assert lost == {losses.WHITE_SPACE: 1}
        [again] = read_again()
    assert (again.doc_id, again.text) == ("n", "Has type - 2 DM .")
    assert [again.text[span.begin : span.end] for span in again.spans] == ["type - 2 DM"]


@pytest.mark.parametrize(
    ("text", "spans", "lost", "kept"),
    [
        ("a bc", [(2, 3, "X")], losses.MOVED_BORDERS, [(2, 4, "X")]),
        ("a bc", [(1, 4, "X")], losses.MOVED_BORDERS, [(2, 4, "X")]),
        ("a b c", [(0, 3, "X"), (2, 5, "Y")], losses.OVERLAPS, [(0, 3, "X")]),
        ("a b c", [(0, 1, "X"), (0, 5, "Y"), (4, 5, "Y")], losses.OVERLAPS, [(0, 5, "Y")]),
        ("a b c", [(0, 1, "X"), (0, 1, "X")], losses.OVERLAPS, [(0, 1, "X")]),
        ("a b c", [(1, 2, "X")], losses.WITHOUT_WORD, []),
        ("a b c", [(0, 0, "X")], losses.WITHOUT_WORD, []),
        ("a b c", [(0, 1, "X Y")], losses.RENAMED, [(0, 1, "X_Y")]),
        ("Ran .\nSat", [(0, 9, "X")], losses.CUT_MENTIONS, [(0, 5, "X"), (6, 9, "X")]),
        ("a  b", [(0, 1, "X")], losses.WHITE_SPACE, [(0, 1, "X")]),
    ],
)
def test_what_a_column_file_cannot_hold_is_counted(text, spans, lost, kept):
    with written("conll", [document(text, *spans)]) as (counted, read_again):
        [again] = read_again()
    assert set(counted) == {lost}
    assert [(span.begin, span.end, span.label) for span in again.spans] == kept


def test_an_id_that_does_not_fit_a_line_is_counted():
    with written("conll", [document("a", doc_id="one\ntwo")]) as (counted, read_again):
        assert [again.doc_id for again in read_again()] == ["one two"]
    assert counted == {losses.DOCUMENT_IDS: 1}


WORDS = st.lists(st.sampled_from(["a", "ßé", "x_1", "\U0001f637", "\0", ",", "漢"]), min_size=1)


@st.composite
def tagged_documents(draw):
    """Words with one space between them, in one sentence, and mentions that are runs of words."""
    words = draw(WORDS)
    begins = [sum(len(word) + 1 for word in words[:n]) for n in range(len(words) + 1)]
    cuts = sorted(draw(st.sets(st.integers(0, len(words)))))
    labels = st.sampled_from(["", "A", "B-C"])
    runs = [(first, last, draw(labels)) for first, last in pairwise(cuts)]
    spans = [(begins[first], begins[last] - 1, label) for first, last, label in runs if label]
    return document(" ".join(words), *spans)


@given(tagged_documents())
def test_what_a_column_file_can_hold_comes_back(tagged):
    with written("conll", [tagged]) as (lost, read_again):
        assert (lost, read_again()) == ({}, [tagged])


@given(corpora(discontinuous=False))
def test_any_corpus_comes_back_unless_a_loss_is_counted(corpus):
    with written("conll", corpus) as (lost, read_again):
        again = read_again()
    assert [found.doc_id for found in again] == [given.doc_id for given in corpus]
    unspaced = ["".join(given.text.split()) for given in corpus]
    assert ["".join(found.text.split()) for found in again] == unspaced
    assert lost or again == corpus
    mentions = sum(len(given.spans) for given in corpus)
    written_mentions = mentions - lost[losses.OVERLAPS] - lost[losses.WITHOUT_WORD]
    found_mentions = sum(len(found.spans) for found in again)
    assert found_mentions >= written_mentions
    assert found_mentions == written_mentions or lost[losses.CUT_MENTIONS]
