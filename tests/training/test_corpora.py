import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora import (
    DATA_VARIABLE,
    Document,
    default_corpus,
    digest_documents,
    labels_of,
    read_bc5cdr_tsv,
    read_corpus,
    read_pubtator,
)
from udfs.errors import InputError
from udfs.label_scheme import Span

DOCUMENT = (
    "7|t|Aspirin hurts\n7|a|No fever.\n"
    "7\t0\t7\tAspirin\tChemical\tD1\n7\t17\t22\tfever\tDisease\tD2"
)
MENTIONS = (Span(0, 7, "Chemical"), Span(17, 22, "Disease"))


def write(tmp_path, content, name="x.PubTator.txt"):
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def test_pubtator_text_is_title_space_abstract(tmp_path):
    documents = read_pubtator(write(tmp_path, DOCUMENT + "\n7\tCID\tD1\tD2\n\n"))
    assert documents == [Document("7", "Aspirin hurts No fever.", MENTIONS)]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n\n"])
def test_last_document_needs_no_newline(tmp_path, end):
    second = DOCUMENT.replace("7|", "8|").replace("\n7\t", "\n8\t")
    documents = read_pubtator(write(tmp_path, f"\n{DOCUMENT}\n\n{second}{end}"))
    assert [document.doc_id for document in documents] == ["7", "8"]
    assert documents[1].spans == MENTIONS


def test_crlf_and_unicode_line_separators_move_no_offset(tmp_path):
    content = "7|t|A\u2028B\r\n7|a|\U0001f48a x\r\n7\t4\t5\t\U0001f48a\tChemical\tD1\r\n"
    (document,) = read_pubtator(write(tmp_path, content))
    assert document.text == "A\u2028B \U0001f48a x"
    assert document.spans == (Span(4, 5, "Chemical"),)


@pytest.mark.parametrize(
    ("line", "content", "rule"),
    [
        (3, DOCUMENT.replace("7\tAspirin", "7\tIbuprofen"), "differs from the text"),
        (4, DOCUMENT.replace("22\tfever", "99\tfever"), "inside the text"),
        (4, DOCUMENT.replace("17\t22", "22\t17"), "inside the text"),
        (3, DOCUMENT.replace("0\t7", "zero\t7"), "whole numbers"),
        (3, DOCUMENT.replace("Chemical", ""), "label is empty"),
        (3, DOCUMENT.replace("\t7\tAspirin\tChemical\tD1", ""), "columns"),
        (4, DOCUMENT.replace("7\t17", "8\t17"), "its document's PMID"),
        (2, DOCUMENT.replace("7|a", "8|a"), "same PMID"),
        (1, DOCUMENT.replace("|t|", "|x|"), "PMID|t|TEXT"),
        (1, "7|t|Aspirin", "must be followed"),
        (6, f"{DOCUMENT}\n\n{DOCUMENT}", "only once"),
    ],
)
def test_broken_pubtator_names_line_and_rule_but_no_text(tmp_path, line, content, rule):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=f"x.PubTator.txt, line {line}: ") as caught:
        read_pubtator(path)
    assert rule in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Aspirin", "Ibuprofen", "fever", "hurts"))


def test_text_that_is_not_utf8_names_its_line(tmp_path):
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read_pubtator(write(tmp_path, b"7|t|A\n7|a|\xff"))


def test_tsv_sentences_become_documents(tmp_path):
    content = "Selegiline\tB-Chemical\n-\tO\ninduced\tO\n\nheart\tB-Disease\nfailure\tI-Disease"
    documents = read_bc5cdr_tsv(write(tmp_path, content, "train.tsv"))
    assert documents == [
        Document("train.tsv:1", "Selegiline - induced", (Span(0, 10, "Chemical"),)),
        Document("train.tsv:5", "heart failure", (Span(0, 13, "Disease"),)),
    ]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("a\tO\nb\tI-Disease", "must follow"),
        ("a\tB-Chemical\nb\tI-Disease", "must follow"),
        ("a\tO\nb", "1 columns"),
        ("a\tO\nb\tO\tO", "3 columns"),
        ("a\tO\nb\tX-Disease", "must be O"),
        ("a\tO\nb\tB-", "must be O"),
    ],
)
def test_broken_tsv_names_its_line(tmp_path, content, rule):
    with pytest.raises(InputError, match=f"dev.tsv, line 2: .*{rule}"):
        read_bc5cdr_tsv(write(tmp_path, content, "dev.tsv"))


def test_unknown_corpora_list_what_is_known(tmp_path):
    for spec in ("bc5cdr", "nothing:here", "bc5cdr:", f"bc5cdr:{tmp_path / 'absent'}"):
        with pytest.raises(InputError, match="bc5cdr:FOLDER, bc5cdr-tsv:FOLDER"):
            read_corpus(spec, ["train"])
    for parts in ([], ["training"]):
        with pytest.raises(InputError, match="train, devel, test"):
            read_corpus(f"bc5cdr:{tmp_path}", parts)
    with pytest.raises(InputError, match=r"train.tsv is missing"):
        read_corpus(f"bc5cdr:{tmp_path}", ["train"])


def test_parts_come_in_the_order_asked_for(tiny_bc5cdr):
    once = read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["devel"])
    assert read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["train", "devel"]) == once + once
    assert labels_of(once) == ["Chemical", "Disease"]


@given(st.text(min_size=1), st.text(min_size=1))
def test_digest_tells_documents_apart(one, other):
    def digest(text, *spans):
        return digest_documents([Document("1", text, spans)])

    assert (digest(one) == digest(other)) == (one == other)
    assert len({digest(one), digest(one, Span(0, 1, "A")), digest(one, Span(0, 1, "B"))}) == 3
    assert digest(one, Span(0, 1, "A", 0.5)) == digest(one, Span(0, 1, "A"))


@pytest.fixture
def bc5cdr():
    spec = default_corpus()
    folder = spec.partition(":")[2]
    try:
        read_corpus(f"bc5cdr-tsv:{folder}", ["train"])
    except InputError:
        pytest.skip(f"BC5CDR is not at ../shared/data, nor where {DATA_VARIABLE} says")
    return folder


def count(documents, label):
    return sum(span.label == label for document in documents for span in document.spans)


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "chemicals", "diseases", "tsv_diseases", "sentences"),
    [
        ("train", 5203, 4182, 4182, 4560),
        ("devel", 5347, 4244, 4246, 4581),
        ("test", 5385, 4424, 4424, 4797),
    ],
)
def test_bc5cdr_has_the_published_counts(
    bc5cdr, part, chemicals, diseases, tsv_diseases, sentences
):
    pubtator = read_corpus(f"bc5cdr:{bc5cdr}", [part])
    tsv = read_corpus(f"bc5cdr-tsv:{bc5cdr}", [part])
    assert (len(pubtator), len(tsv)) == (500, sentences)
    assert (count(pubtator, "Chemical"), count(tsv, "Chemical")) == (chemicals, chemicals)
    assert (count(pubtator, "Disease"), count(tsv, "Disease")) == (diseases, tsv_diseases)
    by_pmid = sorted(pubtator, key=lambda document: document.doc_id)
    joined = "".join("".join(document.text.split()) for document in by_pmid)
    assert joined == "".join("".join(document.text.split()) for document in tsv)
