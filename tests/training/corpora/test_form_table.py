import re
import stat

import pytest

from tests.support.places import REPOSITORY, SHIPPED
from training.corpora import form_table
from training.corpora.documents import digest_documents, labels_of, make_document
from training.corpora.form_table import (
    FORMS,
    default_corpus,
    read_corpus,
    read_part,
    write_corpus,
)
from udfs.errors import InputError
from udfs.package.model_package import load_manifest
from udfs.spans import Mention


def test_unknown_corpora_list_what_is_known(tmp_path):
    for spec in ("bc5cdr", "nothing:here", "bc5cdr:", f"bc5cdr:{tmp_path / 'absent'}"):
        with pytest.raises(InputError, match="bc5cdr:FOLDER, bc5cdr-tsv:FOLDER"):
            read_corpus(spec, ["train"])
    for parts in ([], ["training"]):
        with pytest.raises(InputError, match="train, devel, test"):
            read_corpus(f"bc5cdr:{tmp_path}", parts)
    with pytest.raises(InputError, match=r"train.tsv is missing"):
        read_corpus(f"bc5cdr:{tmp_path}", ["train"])
    with pytest.raises(InputError, match=r"train.tsv is missing"):
        read_part(f"bc5cdr:{tmp_path}")
    with pytest.raises(InputError, match="is not there"):
        read_part(f"doccano:{tmp_path / 'absent'}")
    with pytest.raises(InputError, match="is a folder: name a file"):
        read_part(f"doccano:{tmp_path}")


def test_parts_come_in_the_order_asked_for(tiny_bc5cdr):
    once = read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["devel"])
    assert read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["train", "devel"]) == once + once
    assert labels_of(once) == ["Chemical", "Disease"]


def inline_corpus(folder, **texts):
    for name, text in texts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.txt").write_text(text, encoding="utf-8")
    return f"inline:{folder}"


def test_parts_of_ones_own_corpus_are_folders_or_files(tmp_path):
    spec = inline_corpus(tmp_path, train="[drug: a]", devel="b")
    (tmp_path / "test.txt").write_text("[drug: c]", encoding="utf-8")
    assert [d.doc_id for d in read_corpus(spec, ["test", "train"])] == ["test", "train"]
    assert [d.doc_id for d in read_part(spec).documents] == ["devel/devel", "test", "train/train"]
    (tmp_path / "train.txt").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"must hold one of train, train\.txt, but holds 2"):
        read_part(spec, "train")


def test_a_corpus_of_files_has_the_parts_that_are_there(tmp_path):
    (tmp_path / "devel.tsv").write_text("a\tB-Drug\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text("b\tO\n", encoding="utf-8")
    documents = read_part(f"bc5cdr-tsv:{tmp_path}").documents
    assert [document.doc_id for document in documents] == ["devel.tsv:1", "test.tsv:1"]


def test_training_takes_no_empty_and_no_discontinuous_mention(tmp_path):
    spec = inline_corpus(tmp_path / "empty", train="[drug: ] [drug: a]")
    with pytest.raises(InputError, match="1 mentions are empty"):
        read_corpus(spec, ["train"])
    gap = Mention(0, 3, "X", fragments=((0, 1), (2, 3)))
    write_corpus(f"brat:{tmp_path / 'brat/train'}", [make_document("d", "a b", [gap])])
    with pytest.raises(InputError, match=r"1 discontinuous mentions, .*--discontinuous cover"):
        read_corpus(f"brat:{tmp_path / 'brat'}", ["train"])
    assert read_part(f"brat:{tmp_path / 'brat'}", "train").documents[0].spans == (gap,)


def test_two_documents_with_one_id_are_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": 1, "text": "", "label": []}\n' * 2, encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl: documents 1 and 2 have the same id"):
        read_part(f"doccano:{path}")


def test_the_docs_name_every_form():
    page = (REPOSITORY / "docs" / "corpora.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| `")]
    named = {form for line in table for form in re.findall(r"`([a-z0-9-]+):`", line)}
    assert named == set(FORMS)


WRITABLE = [name for name, form in FORMS.items() if form.write is not None]


def test_what_can_be_written():
    assert set(WRITABLE) == {
        *("brat", "conll", "doccano", "doccano-utf16", "label-studio", "label-studio-utf16"),
        *("span-json", "docbin"),
    }


def test_a_form_that_is_only_read_says_which_are_written(tmp_path):
    with pytest.raises(InputError, match="can be read only; forms that can be written: brat, "):
        write_corpus(f"i2b2-2010:{tmp_path / 'x'}", [])


@pytest.mark.parametrize("form", sorted(set(WRITABLE) - {"brat", "span-json"}))
def test_a_form_of_whole_mentions_refuses_a_discontinuous_one(tmp_path, form):
    gap = Mention(0, 3, "X", fragments=((0, 1), (2, 3)))
    with pytest.raises(InputError, match="1 discontinuous mentions"):
        write_corpus(f"{form}:{tmp_path / 'x'}", [make_document("d", "a b", [gap])])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["brat", "span-json"])
def test_only_the_owner_can_read_what_is_written_and_nothing_is_overwritten(tmp_path, form):
    target = tmp_path / "new" / "x"
    write_corpus(f"{form}:{target}", [make_document("d", "a b", [])])
    assert stat.S_IMODE(target.stat().st_mode) == (0o700 if target.is_dir() else 0o600)
    assert [path.name for path in target.parent.iterdir()] == ["x"]
    with pytest.raises(InputError, match="x exists: name a new place"):
        write_corpus(f"{form}:{target}", [])


@pytest.mark.data
def test_the_digest_in_the_shipped_model_is_that_of_its_corpus(shared_data):
    documents = read_corpus(f"bc5cdr:{shared_data / 'bc5cdr'}", ["train", "devel"])
    assert digest_documents(documents) == load_manifest(SHIPPED).training_data_digest


def test_the_default_corpus_is_bc5cdr_in_the_data_folder(monkeypatch):
    monkeypatch.setenv(form_table.DATA_VARIABLE, "/data")
    assert default_corpus() == "bc5cdr:/data/bc5cdr"
