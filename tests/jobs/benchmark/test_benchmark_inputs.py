"""The notes of a benchmark and their gold spans, written and read again."""

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from conf.benchmark import load_benchmark
from jobs.benchmark.benchmark_inputs import read_gold, strict_f1, write_inputs
from tests.support.places import REPOSITORY
from tests.support.tiny_bert import write_tiny_bc5cdr
from training.corpora.form_table import read_corpus
from udfs.errors import InputError
from udfs.spans import Span

SETTINGS = REPOSITORY / "conf" / "benchmark.yaml"


def notes_of(folder: Path) -> dict[str, str]:
    table = parquet.read_table(folder / "notes.parquet")
    return dict(zip(table["note_id"].to_pylist(), table["text"].to_pylist(), strict=True))


def test_invented_notes_have_no_gold(tmp_path):
    write_inputs(load_benchmark(SETTINGS, ["peer_notes=5"]), tmp_path / "in")
    notes = notes_of(tmp_path / "in")
    assert len(notes) == len(set(notes.values())) == 5
    assert read_gold(tmp_path / "in") == []


def test_notes_of_a_file_and_documents_of_a_corpus_stand_side_by_side(tmp_path):
    rows = [{"note_id": n, "text": f"Note {n}\r\n\U0001f600."} for n in range(4)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = f"bc5cdr:{write_tiny_bc5cdr(tmp_path / 'corpus')}"
    wanted = [f"notes={tmp_path}/notes.jsonl", "peer_notes=3", f"corpus={corpus}"]
    write_inputs(load_benchmark(SETTINGS, [*wanted, "corpus_documents=2"]), tmp_path / "in")
    documents = read_corpus(corpus, ["test"])[:2]
    expected = {str(row["note_id"]): row["text"] for row in rows[:3]}
    assert notes_of(tmp_path / "in") == expected | {d.doc_id: d.text for d in documents}
    assert read_gold(tmp_path / "in") == documents


def test_fewer_notes_than_asked_for_is_an_error_that_says_how_many_there_are(tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"note_id": "a", "text": "b"}\n')
    settings = load_benchmark(SETTINGS, [f"notes={tmp_path}/notes.jsonl", "peer_notes=2"])
    with pytest.raises(InputError, match="--set peer_notes=1"):
        write_inputs(settings, tmp_path / "in")


def test_f1_counts_a_document_without_answers_as_missed(tmp_path):
    documents = read_corpus(f"bc5cdr:{write_tiny_bc5cdr(tmp_path)}", ["test"])
    right = {d.doc_id: list(d.spans) for d in documents}
    assert strict_f1(documents, right) == 1.0
    first = documents[0].doc_id
    missed = len(documents[0].spans)
    rest = sum(len(d.spans) for d in documents[1:])
    del right[first]
    assert strict_f1(documents, right) == pytest.approx(2 * rest / (2 * rest + missed))
    right[first] = [Span(0, 1, "Chemical")] * 3
    assert strict_f1(documents, right) == pytest.approx(2 * rest / (2 * rest + missed + 1))
