from collections import Counter

import pytest

from training.corpora.form_table import read_part
from training.corpora.forms.published import i2b2_2009, i2b2_2010
from training.corpora.forms.published.i2b2_2009 import read_i2b2_2009
from training.corpora.forms.published.i2b2_2010 import read_i2b2_2010
from udfs.errors import InputError
from udfs.spans import Mention, Relation

TEXT = "Seen \U0001f637 today\r\n  No  Chest Pain , started\nAspirin .\n"
CONCEPTS = 'c="chest pain" 2:1 2:2||t="problem"\nc="aspirin" 3:0 3:0||t="treatment"\n'


@pytest.fixture
def read_2010(write, tmp_path):
    """Reads a folder with these files of one note; returns documents and what was met."""

    def read_folder(**files):
        for suffix, content in {"txt": TEXT, "con": CONCEPTS, **files}.items():
            write(f"in/{suffix}/n.{suffix}", content)
        met = Counter()
        return read_i2b2_2010(tmp_path / "in", met), +met

    return read_folder


def test_2010_concepts_assertions_and_relations(read_2010, write):
    write("in/more/other.txt", "not annotated")
    [document], met = read_2010(
        ast='c="chest pain" 2:1 2:2||t="problem"||a="absent"\n',
        rel='c="aspirin" 3:0 3:0||r="TrAP"||c="chest pain" 2:1 2:2\n',
    )
    assert (document.doc_id, document.text) == ("n", TEXT)
    absent = (("assertion", "absent"),)
    assert document.spans == (
        Mention(20, 30, "problem", attributes=absent),
        Mention(41, 48, "treatment"),
    )
    assert TEXT[20:30] == "Chest Pain"
    assert document.relations == (Relation("TrAP", 1, 0),)
    assert met == {i2b2_2010.NOT_ANNOTATED: 1}


def test_2010_a_concept_may_go_on_in_the_next_line(read_2010):
    [document], _ = read_2010(con='c="started aspirin" 2:4 3:0||t="treatment"')
    assert [TEXT[span.begin : span.end] for span in document.spans] == ["started\nAspirin"]


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"con": 'c="fever" 2:1 2:2||t="problem"'}, "n.con, line 1: the mention differs"),
        ({"con": 'c="aspirin" 3:0 3:9||t="problem"'}, "line 1: the text has no token 9 in line 3"),
        ({"con": 'c="aspirin" 9:0 9:0||t="problem"'}, "line 1: the text has no token 0 in line 9"),
        ({"con": 'c="aspirin" 0:0 0:0||t="problem"'}, "line 1: the text has no token 0 in line 0"),
        ({"con": '\nc="aspirin" 3:0 2:0||t="problem"'}, "line 2: the offset 3:0 2:0 ends before"),
        ({"con": 'c="aspirin" 3:0||t="problem"'}, "line 1: not a line of a .con file"),
        ({"ast": 'c="aspirin" 3:0 3:0||t="problem"||a="absent"'}, "has no problem at 3:0 3:0"),
        ({"ast": 'c="aspirin" 3:0 3:0||t="problem"'}, "line 1: not a line of a .ast file"),
        (
            {"rel": 'c="chest pain" 2:1 2:2||r="TrAP"||c="aspirin" 3:0 3:0'},
            "n.rel, line 1: the .con file has no treatment at 2:1 2:2",
        ),
        (
            {"rel": 'c="aspirin" 3:0 3:0||r="Near"||c="chest pain" 2:1 2:2'},
            "line 1: a relation must be Tr…, Te… or PIP",
        ),
    ],
)
def test_2010_a_broken_line_is_named_with_its_rule_but_no_text(read_2010, files, rule):
    with pytest.raises(InputError) as caught:
        read_2010(**files)
    assert rule in str(caught.value)
    assert not any(word in str(caught.value).lower() for word in ("aspirin", "chest", "fever"))


def test_2010_files_that_do_not_belong_together(write, tmp_path):
    for name, rule in [
        ("in/x.txt", r"in holds no \.con file"),
        ("in/n.con", r"n\.con: there is no n\.txt"),
        ("in/m/n.con", "have the same name"),
    ]:
        write(name, "")
        with pytest.raises(InputError, match=rule):
            read_i2b2_2010(tmp_path / "in", Counter())


@pytest.mark.data
def test_the_2010_sample_has_its_counts(formats):
    documents = read_part(f"i2b2-2010:{formats / 'i2b2_2010'}").documents
    spans = [span for document in documents for span in document.spans]
    relations = [relation.label for document in documents for relation in document.relations]
    assert (len(documents), len(spans), len(relations)) == (3, 38, 12)
    assertions = [span.attributes for span in spans if span.attributes]
    assert len(assertions) == 26
    assert set(relations) == {"TrIP", "TrWP", "TrCP", "TrAP", "TrNAP", "TeRP", "TeCP", "PIP"}
    assert {value for [(_, value)] in assertions} == {
        *("present", "absent", "possible", "conditional", "hypothetical"),
        "associated_with_someone_else",
    }
    assert {span.label for span in spans if span.attributes} == {"problem"}
    record = next(document for document in documents if document.doc_id == "record-902")
    over_two_lines = [record.text[span.begin : span.end] for span in record.spans]
    assert "increasing\nshortness of breath" in over_two_lines


MEDICATION_TEXT = "9\nTook long and short acting insulin 10 units\ndaily for pain.\n"
ENTRY = (
    'm="long...acting insulin" 2:1 2:1,2:4 2:5||do="10 units" 2:6 2:7||mo="nm"||f="daily" 3:0 3:0'
)


@pytest.fixture
def read_2009(write, tmp_path):
    """Reads a folder with one note and these entries; returns documents and what was met."""

    def read_folder(entries, name="9.i2b2.entries", text_name="9"):
        write(f"in/{text_name}", MEDICATION_TEXT)
        write(f"in/{name}", entries)
        met = Counter()
        return read_i2b2_2009(tmp_path / "in", met), +met

    return read_folder


FIELDS = (
    Mention(7, 36, "medication", fragments=((7, 11), (22, 36)), attributes=(("event", "start"),)),
    Mention(37, 45, "dosage"),
    Mention(46, 51, "frequency"),
)
RELATIONS = (Relation("dosage-medication", 1, 0), Relation("frequency-medication", 2, 0))


@pytest.mark.parametrize("name", ["9.i2b2.entries", "9_gold.entries", "9.entries", "9.m"])
@pytest.mark.parametrize(
    "entry",
    [
        ENTRY + '||du="nm"||e="start"',
        ENTRY.replace("||", "||| ") + '||e="start"',
        ENTRY.replace("...", " ... ") + '||e="start"',
        ENTRY.replace("1,2:4", "1 2:4") + '||e="start"\r\n\r\n',
    ],
)
def test_2009_entries_and_their_variants(read_2009, name, entry):
    [document], met = read_2009(entry, name, text_name="9.txt" if name == "9.m" else "9")
    assert (document.doc_id, document.text) == ("9", MEDICATION_TEXT)
    assert document.spans == FIELDS
    assert document.relations == RELATIONS
    assert met == {}


def test_2009_a_drug_with_two_doses_stands_twice(read_2009):
    one = 'm="insulin" 2:5 2:5||do="10" 2:6 2:6||ln="list"'
    other = 'm="insulin" 2:5 2:5||do="units" 2:7 2:7||ln="narrative"'
    [document], _ = read_2009(f"{one}\n{other}\n")
    drugs = [n for n, span in enumerate(document.spans) if span.label == "medication"]
    assert [document.spans[n].attributes[0][1] for n in drugs] == ["list", "narrative"]
    assert {(r.tail, document.spans[r.head].begin) for r in document.relations} == {
        (drugs[0], 37),
        (drugs[1], 40),
    }


def test_2009_punctuation_of_a_token_may_be_left_out(read_2009):
    [document], met = read_2009('m="insulin" 2:5 2:5||r="pain" 3:2 3:2')
    assert MEDICATION_TEXT[document.spans[1].begin : document.spans[1].end] == "pain."
    assert met == {i2b2_2009.LESS_PUNCTUATION: 1}


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (ENTRY.replace("10 units", "12 units"), "differs from the text at 2:6 2:7"),
        (ENTRY.replace("long", "short"), "differs from the text at 2:1 2:1,2:4 2:5"),
        (ENTRY.replace("2:1 2:1,2:4 2:5", "2:4 2:5,2:1 2:1"), "in text order"),
        (ENTRY.replace("2:7", "2:9"), "no token 9 in line 2"),
        (ENTRY.replace(" 2:6 2:7", ""), 'must be "nm"'),
        (ENTRY.replace(" 2:1 2:1,2:4 2:5", ""), "m must have them"),
        (ENTRY + '||x="nm"', 'expected m="…" first'),
        ('do="10 units" 2:6 2:7||m="insulin" 2:5 2:5', 'expected m="…" first'),
        ("insulin", "expected fields"),
    ],
)
def test_2009_a_broken_line_is_named_with_its_rule_but_no_text(read_2009, entry, rule):
    with pytest.raises(InputError, match=r"9\.i2b2\.entries, line 2: ") as caught:
        read_2009(f"\n{entry}")
    assert rule in str(caught.value)
    assert not any(word in str(caught.value) for word in ("insulin", "units", "acting"))


def test_2009_files_that_do_not_belong_together(write, tmp_path):
    for name, rule in [
        ("in/8", "holds no file with entries"),
        ("in/9.m", r"9\.m: there is no text 9"),
        ("in/more/9_gold.entries", "are of one document"),
    ]:
        write(name, "")
        with pytest.raises(InputError, match=rule):
            read_i2b2_2009(tmp_path / "in", Counter())


@pytest.mark.data
def test_the_2009_sample_has_its_counts(formats):
    reading = read_part(f"i2b2-2009:{formats / 'i2b2_2009'}")
    spans = [(d.text, span) for d in reading.documents for span in d.spans]
    assert len(reading.documents) == 3
    assert sum(span.label == "medication" for _, span in spans) == 13
    pieces = {
        tuple(text[begin:end] for begin, end in span.pieces)
        for text, span in spans
        if span.fragments
    }
    assert pieces == {("Monday", "before hemodialysis"), ("long", "acting insulin")}
    assert "congestive heart\nfailure" in {text[span.begin : span.end] for text, span in spans}
    assert reading.met == {}
    twice = next(document for document in reading.documents if document.doc_id == "900103")
    drugs = [span for span in twice.spans if span.label == "medication"]
    assert (len(drugs), len(set(drugs))) == (4, 3)
