"""The files of n2c2 2018 track 2, by an invented corpus in the same files."""

import shutil

import pytest

from jobs import make_n2c2
from training.corpora.documents import digest_documents, labels_of
from training.corpora.form_table import read_corpus, read_part
from training.corpora.forms.published.n2c2 import is_development
from training.invented.invented_summaries import LABELS, invent_summaries
from udfs.errors import InputError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("n2c2") / "corpus"
    assert make_n2c2.main(["--output", str(folder), "--notes", "130"]) == 0
    return folder


def test_parts_are_training_without_a_tenth_that_tenth_and_test(corpus):
    ids = {
        part: {document.doc_id for document in read_corpus(f"n2c2:{corpus}", [part])}
        for part in ("train", "devel", "test")
    }
    assert (len(ids["train"]) + len(ids["devel"]), len(ids["test"])) == (78, 52)
    assert not ids["train"] & ids["devel"]
    assert 2 <= len(ids["devel"]) <= 16
    assert all(map(is_development, ids["devel"]))
    assert len(read_part(f"n2c2:{corpus}").documents) == 130
    # Fixed for ever: whoever holds the corpus has the same development part.
    assert [number for number in range(100_000, 100_100) if is_development(str(number))] == SPLIT


SPLIT = [100_012, 100_021, 100_024, 100_040, 100_044, 100_056, 100_077, 100_078, 100_080]
SPLIT += [100_095, 100_096, 100_098]


def test_the_files_hold_what_was_invented(corpus):
    read = read_part(f"n2c2:{corpus}", "test").documents
    assert digest_documents(read) == digest_documents(invent_summaries(52, 0, 900_079))
    assert [d.relations for d in read] == [d.relations for d in invent_summaries(52, 0, 900_079)]
    assert digest_documents(read) != digest_documents(invent_summaries(52, 1, 900_079))
    assert labels_of(read) == list(LABELS)
    relations = {relation.label for document in read for relation in document.relations}
    assert relations == {f"{label}-Drug" for label in LABELS if label != "Drug"}
    texts = [document.text for document in read]
    assert len(set(texts)) == 52
    assert not any("\r" in text or "{" in text for text in texts)
    assert max(len(line) for text in texts for line in text.split("\n")[1:]) <= 79
    spans = [(document.text, span) for document in read for span in document.spans]
    assert any(span.fragments for _, span in spans)
    assert any("\n" in text[span.begin : span.end] for text, span in spans)


def test_discontinuous_mentions_are_covered_in_training(corpus):
    [apart] = [read_part(f"n2c2:{corpus}", "train").documents]
    whole = read_corpus(f"n2c2:{corpus}", ["train"])
    gaps = [span for document in apart for span in document.spans if span.fragments]
    assert gaps
    assert not any(span.fragments for document in whole for span in document.spans)
    assert sum(len(d.spans) for d in whole) == sum(len(d.spans) for d in apart)


def test_folders_may_be_named_as_the_archives_are(corpus, tmp_path):
    shutil.copytree(corpus / "test", tmp_path / "gold-standard-test-data" / "test")
    (tmp_path / "gold-standard-test-data" / "__MACOSX").mkdir()
    (tmp_path / "gold-standard-test-data" / "__MACOSX" / "._1.txt").write_text("")
    assert len(read_corpus(f"n2c2:{tmp_path}", ["test"])) == 52
    assert len(read_part(f"n2c2:{tmp_path}").documents) == 52
    with pytest.raises(InputError, match="must hold one of the folders training_20180910, "):
        read_corpus(f"n2c2:{tmp_path}", ["train"])
    (tmp_path / "test").mkdir()
    with pytest.raises(InputError, match="but holds 2"):
        read_corpus(f"n2c2:{tmp_path}", ["test"])


def test_wrong_arguments_write_nothing(tmp_path, capsys):
    assert make_n2c2.main(["--output", str(tmp_path / "new"), "--notes", "1"]) == 2
    assert make_n2c2.main(["--output", str(tmp_path)]) == 2
    assert "exists; name a new folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
