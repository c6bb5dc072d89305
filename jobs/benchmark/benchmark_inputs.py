"""The files of notes on which peers and Clinspan are compared; some notes have gold spans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from conf.benchmark import BenchmarkSettings
from training.corpora.documents import Document
from training.corpora.form_table import read_corpus
from training.corpora.forms.tools.span_json import read_span_json, write_span_json
from training.evaluation.strict_scores import score_documents
from udfs.benchmark.invented_notes import NotePlan
from udfs.errors import InputError
from udfs.spans import Span

NOTES, GOLD = "notes.parquet", "gold.jsonl"
CORPUS_PART = "test"


def write_inputs(settings: BenchmarkSettings, folder: Path) -> None:
    """Writes `notes.parquet` (note_id, text) and `gold.jsonl` (may be empty) into a folder.

    Raises:
        InputError: there are fewer notes than the settings ask for, or there is no such corpus.
    """
    pairs = list(_notes(settings))
    gold: list[Document] = []
    if settings.corpus is not None:
        gold = read_corpus(settings.corpus, [CORPUS_PART])[: settings.corpus_documents]
    pairs += [(document.doc_id, document.text) for document in gold]
    ids, texts = zip(*pairs, strict=True)
    folder.mkdir(parents=True)
    parquet.write_table(pa.table({"note_id": ids, "text": texts}), folder / NOTES)
    write_span_json(gold, folder / GOLD)


def _notes(settings: BenchmarkSettings) -> Iterator[tuple[str, str]]:
    wanted = settings.peer_notes
    if settings.notes is None:
        plan = NotePlan(wanted, copied=0.0)
        notes = map(plan.note, range(wanted))
        return ((note.note_id, note.text) for note in notes)
    with settings.notes.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, wanted)]
    if len(rows) < wanted:
        raise InputError(
            f"{settings.notes} has {len(rows)} notes, but peer_notes asks for {wanted}: "
            f"--set peer_notes={len(rows)}"
        )
    return ((str(row["note_id"]), row["text"]) for row in rows)


def read_gold(folder: Path) -> list[Document]:
    """The annotated documents among the notes of a folder."""
    return read_span_json(folder / GOLD, Counter())


def strict_f1(gold: list[Document], found: dict[str, list[Span]]) -> float:
    """F1 over the annotated documents; begin, end and label must all be right."""
    return score_documents(gold, [found.get(d.doc_id, []) for d in gold]).overall.f1
