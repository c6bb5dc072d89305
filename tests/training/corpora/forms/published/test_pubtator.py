import gzip
from collections import Counter

import pytest

from training.corpora.documents import Document
from training.corpora.form_table import PARTS, read_corpus, read_part
from training.corpora.forms.published import pubtator
from training.corpora.forms.published.pubtator import NCBI_DISEASE, read_medmentions, read_pubtator
from udfs.errors import InputError
from udfs.spans import ConceptRelation, Mention

DOCUMENT = (
    "7|t|Aspirin hurts\n7|a|No fever.\n"
    "7\t0\t7\tAspirin\tChemical\tD1\n7\t17\t22\tfever\tDisease\tD2"
)
MENTIONS = (
    Mention(0, 7, "Chemical", concept_ids=("D1",)),
    Mention(17, 22, "Disease", concept_ids=("D2",)),
)


@pytest.fixture
def read(write):
    """Reads one file with this content; returns documents and what was met."""

    def read_content(content, **options):
        met = Counter()
        return read_pubtator(write("x.PubTator.txt", content), met, **options), +met

    return read_content


def test_text_is_title_space_abstract_and_cid_relates_concepts(read):
    documents, met = read(DOCUMENT + "\n7\tCID\tD1\tD2\n\n")
    relation = ConceptRelation("CID", "D1", "D2")
    expected = Document("7", "Aspirin hurts No fever.", MENTIONS, (), (relation,))
    assert (documents, met) == ([expected], {})


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n\n"])
def test_last_document_needs_no_newline(read, end):
    second = DOCUMENT.replace("7|", "8|").replace("\n7\t", "\n8\t")
    documents, _ = read(f"\n{DOCUMENT}\n\n{second}{end}")
    assert [document.doc_id for document in documents] == ["7", "8"]
    assert documents[1].spans == MENTIONS


def test_crlf_and_unicode_line_separators_move_no_offset(read):
    content = "7|t|A\u2028B\r\n7|a|\U0001f48a x\r\n7\t4\t5\t\U0001f48a\tChemical\tD1\r\n"
    [document], _ = read(content)
    assert document.text == "A\u2028B \U0001f48a x"
    assert document.spans == (Mention(4, 5, "Chemical", concept_ids=("D1",)),)


@pytest.mark.parametrize(
    ("line", "content", "rule"),
    [
        (3, DOCUMENT.replace("7\tAspirin", "7\tIbuprofen"), "differs from the text"),
        (3, DOCUMENT.replace("7\tAspirin", "7\tAspirin "), "differs from the text"),
        (4, DOCUMENT.replace("22\tfever", "99\tfever"), "inside the text"),
        (4, DOCUMENT.replace("17\t22", "22\t17"), "inside the text"),
        (3, DOCUMENT.replace("0\t7\tAspirin", "0\t0\t"), "inside the text"),
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
def test_a_broken_line_is_named_with_its_rule_but_no_text(read, line, content, rule):
    with pytest.raises(InputError, match=f"x.PubTator.txt, line {line}: ") as caught:
        read(content)
    assert rule in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Aspirin", "Ibuprofen", "fever", "hurts"))


def test_text_that_is_not_utf8_names_its_line(read):
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read(b"7|t|A\n7|a|\xff")


@pytest.mark.parametrize(
    ("column", "ids", "met"),
    [
        ("\tD1|OMIM:2", ("D1", "OMIM:2"), {}),
        ("\tD1+D2", ("D1+D2",), {}),
        ("\t D1 ", ("D1",), {pubtator.SPACED_ID: 1}),
        ("\t-1", (), {pubtator.NO_CONCEPT: 1}),
        ("\tD1|-1", ("D1",), {pubtator.NO_CONCEPT: 1}),
        ("\tUMLS:C1", ("C1",), {}),
        ("\tD1|D2\tone|other", ("D1", "D2"), {pubtator.PART_NAMES: 1}),
        ("\t", (), {}),
        ("", (), {}),
    ],
)
def test_concept_ids(read, column, ids, met):
    [document], counted = read(f"7|t|Aspirin\n7|a|x\n7\t0\t7\tAspirin\tT109,T121{column}")
    assert document.spans == (Mention(0, 7, "T109,T121", concept_ids=ids),)
    assert counted == met


def test_the_ncbi_corpus_quotes_white_space_and_repeats_a_document(read):
    spaced = DOCUMENT.replace("fever\t", "fever  \t")
    documents, met = read(f"{spaced}\n\n{spaced}", dialect=NCBI_DISEASE)
    assert [document.spans for document in documents] == [MENTIONS]
    assert met == {pubtator.OUTER_SPACE: 1, pubtator.REPEATED: 1}
    with pytest.raises(InputError, match="line 6: a PMID may stand in a file only once"):
        read(f"{spaced}\n\n{DOCUMENT}", dialect=NCBI_DISEASE)
    with pytest.raises(InputError, match="line 4: the mention differs"):
        read(DOCUMENT.replace("fever\t", "rash\t"), dialect=NCBI_DISEASE)


def test_a_mention_that_is_given_twice_stays(read):
    [document], _ = read(f"{DOCUMENT}\n7\t0\t7\tAspirin\tChemical\tD1")
    assert document.spans == (MENTIONS[0], *MENTIONS)


def test_parts_of_medmentions_are_lists_of_pmids(tmp_path, write):
    second = DOCUMENT.replace("7|", "8|").replace("\n7\t", "\n8\t")
    packed = gzip.compress(f"{DOCUMENT}\n\n{second}\n".encode())
    write("corpus_pubtator.txt.gz", packed)
    write("corpus_pubtator_pmids_dev.txt", "8\n")
    documents = read_part(f"medmentions:{tmp_path}", "devel").documents
    assert [document.doc_id for document in documents] == ["8"]
    assert len(read_part(f"medmentions:{tmp_path}").documents) == 2
    write("corpus_pubtator_pmids_test.txt", "8\n9\n")
    with pytest.raises(InputError, match=r"1 of its PMIDs are not in corpus_pubtator\.txt\.gz"):
        read_part(f"medmentions:{tmp_path}", "test")
    with pytest.raises(InputError, match=r"corpus_pubtator_pmids_trng\.txt is missing"):
        read_part(f"medmentions:{tmp_path}", "train")
    write("corpus_pubtator.txt.gz", packed[:-9])
    with pytest.raises(InputError, match="not a gzip file, or cut off"):
        read_part(f"medmentions:{tmp_path}")
    write("corpus_pubtator_two.txt", second)
    with pytest.raises(InputError, match="not 2: name the file"):
        read_part(f"medmentions:{tmp_path}")


def count(documents, label):
    return sum(span.label == label for document in documents for span in document.spans)


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "chemicals", "diseases", "tsv_diseases", "sentences", "relations"),
    [
        ("train", 5203, 4182, 4182, 4560, 1038),
        ("devel", 5347, 4244, 4246, 4581, 1012),
        ("test", 5385, 4424, 4424, 4797, 1066),
    ],
)
def test_bc5cdr_has_the_published_counts(
    shared_data, part, chemicals, diseases, tsv_diseases, sentences, relations
):
    pubtator = read_corpus(f"bc5cdr:{shared_data / 'bc5cdr'}", [part])
    tsv = read_corpus(f"bc5cdr-tsv:{shared_data / 'bc5cdr'}", [part])
    assert (len(pubtator), len(tsv)) == (500, sentences)
    assert (count(pubtator, "Chemical"), count(tsv, "Chemical")) == (chemicals, chemicals)
    assert (count(pubtator, "Disease"), count(tsv, "Disease")) == (diseases, tsv_diseases)
    assert sum(len(document.concept_relations) for document in pubtator) == relations
    by_pmid = sorted(pubtator, key=lambda document: document.doc_id)
    joined = "".join("".join(document.text.split()) for document in by_pmid)
    assert joined == "".join("".join(document.text.split()) for document in tsv)


@pytest.mark.data
def test_ids_of_bc5cdr_are_those_that_were_counted(shared_data):
    reading = read_part(f"bc5cdr:{shared_data / 'bc5cdr'}")
    ids = [span.concept_ids for document in reading.documents for span in document.spans]
    assert len(reading.documents) == 1500
    # 226 mentions without an id, and one list of two that holds a -1; 273 lists with that one.
    assert (len(ids), ids.count(())) == (28785, 226)
    assert sum(len(concepts) > 1 for concepts in ids) == 273 - 1
    assert reading.met == {pubtator.NO_CONCEPT: 227, pubtator.PART_NAMES: 253}


NCBI_LABELS = ("SpecificDisease", "Modifier", "DiseaseClass", "CompositeMention")


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "documents", "mentions", "counts", "sentences", "tsv_mentions"),
    [
        ("train", 593, 5145, (2972, 1289, 769, 115), 5424, 5134),
        ("devel", 100, 787, (412, 214, 126, 35), 923, 787),
    ],
)
def test_the_ncbi_corpus_has_the_published_counts(
    shared_data, part, documents, mentions, counts, sentences, tsv_mentions
):
    original = read_part(f"ncbi-disease:{shared_data / 'ncbi-disease'}", part)
    tsv = read_part(f"ncbi-disease-tsv:{shared_data / 'ncbi-disease'}", part)
    # The published counts have 8528200 twice; it is read once.
    twice = [document for document in original.documents if document.doc_id == "8528200"]
    all_documents = original.documents + twice
    assert (len(all_documents), original.met[pubtator.REPEATED]) == (documents, len(twice))
    assert sum(len(document.spans) for document in all_documents) == mentions
    assert tuple(count(all_documents, label) for label in NCBI_LABELS) == counts
    assert len(tsv.documents) == sentences
    assert count(tsv.documents, "Disease") == tsv_mentions
    assert sum(len(document.spans) for document in original.documents) == tsv_mentions
    assert original.met[pubtator.OUTER_SPACE] == (part == "train")


@pytest.mark.data
def test_the_parts_of_the_corpora_share_no_pmid(shared_data):
    corpora = [f"bc5cdr:{shared_data / 'bc5cdr'}"], [f"ncbi-disease:{shared_data / 'ncbi-disease'}"]
    ids = [d.doc_id for [spec] in corpora for d in read_part(spec).documents]
    assert len(ids) == len(set(ids)) == 500 * len(PARTS) + 592 + 100


@pytest.mark.data
@pytest.mark.parametrize(("name", "mentions"), [("full", 17), ("st21pv", 16)])
def test_the_medmentions_samples_have_their_counts(formats, name, mentions):
    file = formats / "medmentions" / f"corpus_pubtator_{name}.txt"
    met = Counter()
    documents = read_medmentions(file, None, met)
    spans = [(document.text, span) for document in documents for span in document.spans]
    assert (len(documents), len(spans), +met) == (3, mentions, {})
    assert all(len(span.concept_ids) == 1 for _, span in spans)
    assert all(span.concept_ids[0].startswith("C") for _, span in spans)
    assert ("T109,T121" in {span.label for _, span in spans}) == (name == "full")
    assert {text[span.begin : span.end] for text, span in spans} >= {"Aspirin", "T2DM", "Warfarin"}
