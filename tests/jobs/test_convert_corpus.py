"""The job that converts corpora, from command line to files and report."""

import json

import pytest

from jobs import convert_corpus
from training.corpora.form_table import read_part
from udfs.spans import Mention

TEXT = "Calcium and zinc salts for\ncramps\n"
ANNOTATIONS = (
    "T1\tDrug 0 7;17 22\tCalcium salts\nT2\tDrug 12 22\tzinc salts\n"
    "T3\tReason 27 33\tcramps\nA1\tNegation T3\nR1\tReason-Drug Arg1:T3 Arg2:T1\n"
    "#1\tAnnotatorNotes T1\tcanary\n"
)


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Runs the job in a folder with the corpus `brat:in`; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "n.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "in" / "n.ann").write_text(ANNOTATIONS, encoding="utf-8")

    def run(*arguments):
        code = convert_corpus.main(["--from", "brat:in", *arguments])
        return code, *capsys.readouterr()

    return run


def test_a_report_alone_writes_nothing(convert, tmp_path):
    code, printed, errors = convert()
    assert (code, errors) == (0, "")
    rows = [" ".join(line.split("│")[1:3]).split() for line in printed.splitlines() if "│" in line]
    assert ["label", "Drug", "2"] in rows
    assert ["discontinuous", "1"] in rows
    assert ["inside", "another", "mention", "1"] in rows
    assert ["attribute", "Negation", "1"] in rows
    assert ["relation", "Reason-Drug", "1"] in rows
    assert "1 annotators' notes, left out" in printed
    assert "cannot hold" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_to_another_form_and_back(convert):
    assert convert("--to", "span-json:out.json")[0] == 0
    expected = read_part("brat:in").documents
    assert read_part("span-json:out.json").documents == expected
    assert convert_corpus.main(["--from", "span-json:out.json", "--to", "brat:again"]) == 0
    assert read_part("brat:again").documents == expected


def test_a_form_of_whole_mentions_needs_a_policy(convert, tmp_path):
    code, printed, errors = convert("--to", "doccano:out.jsonl")
    assert (code, printed) == (2, "")
    assert "1 discontinuous mentions" in errors and "--discontinuous cover" in errors
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("policy", "drugs"),
    [("cover", [(0, 22), (12, 22)]), ("parts", [(0, 7), (12, 22), (17, 22)])],
)
def test_a_policy_is_counted_and_so_is_what_is_lost(convert, tmp_path, policy, drugs):
    arguments = ("--to", "doccano:out.jsonl", "--discontinuous", policy, "--json", "report.json")
    code, printed, _ = convert(*arguments)
    assert code == 0
    assert f"1 discontinuous mentions resolved ({policy})" in printed
    assert "doccano:out.jsonl cannot hold:\n  1 attributes\n" in printed
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["changed"] == {f"discontinuous mentions resolved ({policy})": 1}
    assert report["lost"] == {"attributes": 1}
    assert report["met"] == {"annotators' notes, left out": 1}
    assert report["corpus"]["labels"] == {"Drug": 2, "Reason": 1}
    [document] = read_part("doccano:out.jsonl").documents
    assert [(s.begin, s.end) for s in document.spans if s.label == "Drug"] == drugs


def test_a_policy_that_is_asked_for_is_used_though_the_form_would_not_need_it(convert):
    assert convert("--to", "brat:out", "--discontinuous", "cover")[0] == 0
    [document] = read_part("brat:out").documents
    assert document.spans[0] == Mention(0, 22, "Drug")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--to", "brat:in"), "in exists"),
        (("--to", "i2b2-2010:out"), "can be read only"),
        (("--to", "out"), "is unknown; known: bc5cdr:FOLDER"),
        (("--part", "train"), "must hold one of train"),
        (("--to", "brat:out", "--json", "no/report.json"), "there is no such folder"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_writes_nothing(convert, tmp_path, arguments, rule):
    code, printed, errors = convert(*arguments)
    assert (code, printed) == (2, "")
    assert rule in errors
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_no_text_is_told(convert, tmp_path):
    words = ("Calcium", "zinc", "salts", "cramps", "canary")
    code, *told = convert("--to", "label-studio:out.json", "--discontinuous", "cover")
    assert code == 0
    assert not any(word in text for word in words for text in told)
    (tmp_path / "in" / "n.ann").write_text("T1\tDrug 0 7\tcanary\n", encoding="utf-8")
    code, *told = convert()
    assert code == 2
    assert not any(word in text for word in words for text in told)


def test_labels_cannot_drive_the_terminal(convert, tmp_path):
    (tmp_path / "in" / "n.ann").write_text("T1\tDr\x1b[2Jug[bold] 0 7\tCalcium\n", encoding="utf-8")
    code, printed, _ = convert()
    assert code == 0
    assert "label Dr\\x1b[2Jug[bold]" in printed


def test_part_chooses_a_part(convert, tmp_path):
    (tmp_path / "in" / "n.txt").rename(tmp_path / "n.txt")
    (tmp_path / "in" / "n.ann").unlink()
    for part in ("train", "test"):
        (tmp_path / "in" / part).mkdir()
        (tmp_path / "in" / part / f"{part}.txt").write_text("x", encoding="utf-8")
        (tmp_path / "in" / part / f"{part}.ann").write_text("", encoding="utf-8")
    assert convert("--part", "test", "--to", "span-json:out.json")[0] == 0
    assert [document.doc_id for document in read_part("span-json:out.json").documents] == ["test"]
