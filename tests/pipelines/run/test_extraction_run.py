"""Whole runs over real tables, with an engine that marks words by their endings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipelines.entity_extraction import extract_entities
from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.run.run_plan import RunPlan
from pipelines.scoring.distinct_windows import NOTES_A_PARTITION
from pipelines.spark.slots import task_slots
from pipelines.tables.definitions import (
    ENTITIES,
    NOTE_WINDOWS,
    PROCESSED_NOTES,
    QUARANTINED_NOTES,
    RUNS,
)
from tests.support.run_plans import KEY, plan_of
from udfs.annotation.note_annotation import find_entities
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import InputError

MakePlan = Callable[..., RunPlan]


@pytest.fixture
def make_plan(tmp_path: Path, fake_engine) -> MakePlan:
    def make(notes: Path | str, root: str = "root", **changes: object) -> RunPlan:
        changes = {"engine": fake_engine, "partitions": 2, **changes}
        return plan_of(notes, tmp_path / root, **changes)

    return make


class Told(Progress):
    """Writes down what a run told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.slices: list[tuple[int, int]] = []

    def step(self, words: str) -> None:
        self.steps.append(words)

    def scored(self, characters: int, total: int) -> None:
        self.slices.append((characters, total))


def write_notes(path: Path, *rows: tuple[str, str | None, str | None]) -> Path:
    lines = [
        json.dumps({"note_id": i, "text": text, "storetime": stored, "subject_id": 1})
        for i, text, stored in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def entities(spark, plan: RunPlan) -> list[tuple]:
    rows = plan.root.read(spark, ENTITIES)
    return sorted(
        tuple(r)
        for r in rows.select(
            "note_id", "begin", "end", "text", "label", F.round("score", 4), "entity_id"
        ).collect()
    )


def test_every_note_is_accounted_for_and_every_offset_exact(
    spark, make_plan: MakePlan, samples: Path, fake_classifier
) -> None:
    plan, told = make_plan(samples, model_source="models:/clinspan-ner/3"), Told()
    record = run_extraction(spark, plan, told)
    kept = plan.root.read(spark, RUNS).select("model", "model_source").collect()
    assert [tuple(row) for row in kept] == [("fake", "models:/clinspan-ner/3")]
    notes = {n["note_id"]: n for n in map(json.loads, samples.read_text().splitlines())}
    assert record.rows_read == record.notes == record.worked_notes == len(notes)
    assert record.status == "done" and record.quarantined_notes == record.unchanged_notes == 0

    found = plan.root.read(spark, ENTITIES)
    source = spark.read.json(str(samples)).select("note_id", F.col("text").alias("note"))
    wrong = found.join(source, on="note_id", how="left").where(
        "NOT text <=> substring(note, begin + 1, end - begin)"
    )
    assert found.count() == record.entities > 500
    assert wrong.count() == 0
    assert found.select("entity_id").distinct().count() == record.entities

    expected = {
        (note_id, s.begin, s.end, s.label)
        for note_id, note in notes.items()
        for s in find_entities(note["text"], fake_classifier)
    }
    assert {(r[0], r[1], r[2], r[4]) for r in entities(spark, plan)} == expected

    ledger = plan.root.read(spark, PROCESSED_NOTES).collect()
    assert {r.note_id: r.characters for r in ledger} == {
        i: len(n["text"]) for i, n in notes.items()
    }
    assert sum(r.wordpieces for r in ledger) == record.wordpieces
    assert sum(r.windows for r in ledger) == record.windows
    assert plan.root.read(spark, NOTE_WINDOWS).count() == record.windows
    assert record.distinct_windows == record.scored_windows < record.windows
    details = found.where("note_type = 'DS' AND subject_id IS NOT NULL AND charttime IS NOT NULL")
    assert details.count() > 0
    assert found.where("entity_type = 'drug' AND label <> 'Chemical'").count() == 0
    assert told.steps[0] == "reading notes"
    assert told.slices[-1][0] == told.slices[-1][1] > 0


@pytest.mark.whole
def test_predictions_and_windows_hold_no_text_and_windows_cover_the_notes(
    spark, make_plan: MakePlan, samples: Path
) -> None:
    plan = make_plan(samples)
    run_extraction(spark, plan, Progress())
    windows: dict[str, list[tuple[int, int]]] = {}
    for row in plan.root.read(spark, NOTE_WINDOWS).orderBy("note_id", "begin").collect():
        windows.setdefault(row.note_id, []).append((row.begin, row.end))
    for note in map(json.loads, samples.read_text().splitlines()):
        rest, position = "", 0
        for begin, end in windows.get(note["note_id"], []):
            assert position <= begin < end
            rest += note["text"][position:begin]
            position = end
        assert not (rest + note["text"][position:]).strip()


def test_a_rerun_changes_nothing_and_scores_nothing(
    spark, make_plan: MakePlan, tmp_path: Path, fake_engine
) -> None:
    notes = write_notes(tmp_path / "n.jsonl", ("a", "aspirin for headache", None), ("b", "", None))
    plan = make_plan(notes)
    first = run_extraction(spark, plan, Progress())
    before = entities(spark, plan)
    again = run_extraction(spark, replace(plan, engine=_refuse), Progress())
    assert (first.worked_notes, again.worked_notes, again.unchanged_notes) == (2, 0, 2)
    assert again.windows == again.entities == 0
    assert entities(spark, plan) == before
    statuses = [r.status for r in plan.root.read(spark, RUNS).collect()]
    assert statuses == ["done", "done"]


def _refuse(windows):
    raise AssertionError("nothing was to be scored")


def test_an_amended_note_is_replaced_and_only_new_text_is_scored(
    spark, make_plan: MakePlan, tmp_path: Path
) -> None:
    old = "Takes aspirin daily.\n\nNo anemia."
    new = "Takes insulin daily.\n\nNo anemia."
    notes = write_notes(tmp_path / "n.jsonl", ("a", old, None), ("b", "insulin", None))
    plan = make_plan(notes)
    run_extraction(spark, plan, Progress())
    write_notes(notes, ("a", new, None), ("b", "insulin", None))
    record = run_extraction(spark, plan, Progress())
    assert (record.worked_notes, record.unchanged_notes) == (1, 1)
    assert (record.windows, record.scored_windows) == (2, 1)
    assert [(r[0], r[3]) for r in entities(spark, plan)] == [
        ("a", "insulin"),
        ("a", "anemia"),
        ("b", "insulin"),
    ]


@pytest.mark.whole
def test_new_filters_rerun_without_inference(spark, make_plan: MakePlan, tmp_path: Path) -> None:
    notes = write_notes(tmp_path / "n.jsonl", ("a", "aspirin for anemia", None))
    plan = make_plan(notes)
    run_extraction(spark, plan, Progress())
    drugs = replace(plan.annotation, labels=frozenset({"Chemical"}))
    changed = replace(plan, annotation=drugs, pipeline_fingerprint="p2", engine=_refuse)
    record = run_extraction(spark, changed, Progress())
    assert record.worked_notes == 1
    assert [r[3] for r in entities(spark, plan)] == ["aspirin"]


def test_blank_notes_are_done_and_bad_rows_are_quarantined_once(
    spark, make_plan: MakePlan, tmp_path: Path
) -> None:
    notes = write_notes(
        tmp_path / "n.jsonl",
        ("null", None, None),
        ("empty", "", None),
        ("blank", " \r\n\t ", None),
        ("long", "canary " * 5000, None),
        ("", "canary without id", None),
        ("tie", "canary one", "2150-01-01"),
        ("tie", "canary two", "2150-01-01"),
        ("twice", "aspirin", None),
        ("twice", "aspirin", None),
    )
    plan = make_plan(notes)
    for expected_blank in (3, 0):
        record = run_extraction(spark, plan, Progress())
        assert record.blank_notes == expected_blank
        assert (record.rows_read, record.notes, record.quarantined_notes) == (9, 4, 3)
        # rows = notes + quarantined + further rows of the same notes
        assert record.rows_read == record.notes + record.quarantined_notes + record.repeated_rows
    ledger = {r.note_id for r in plan.root.read(spark, PROCESSED_NOTES).collect()}
    assert ledger == {"null", "empty", "blank", "twice"}
    refused = plan.root.read(spark, QUARANTINED_NOTES).collect()
    assert sorted((r.note_id or "-", r.rule) for r in refused) == [
        ("-", "no_note_id"),
        ("long", "too_long"),
        ("tie", "conflicting_texts"),
    ]
    assert "canary" not in str(refused)


@pytest.mark.whole
def test_a_huge_note_and_one_without_a_space_pass_beside_others(
    spark, make_plan: MakePlan, tmp_path: Path
) -> None:
    paragraph = "Takes aspirin 81 mg daily for angina, no anemia.\nCr 0.9, Na 140 😀.\n\n"
    generator = random.Random(7)
    texts = {
        "10 MB": paragraph * (10_000_000 // len(paragraph.encode()) + 1),
        "no space": "".join(generator.choices("bcfgjkqwxz", k=1_000_000)),
        "small": "insulin",
    }
    notes = write_notes(tmp_path / "n.jsonl", *((i, t, None) for i, t in texts.items()))
    plan = make_plan(notes, max_note_characters=20_000_000)
    record = run_extraction(spark, plan, Progress())
    assert (record.notes, record.quarantined_notes) == (3, 0)
    # In Python: Spark's substring walks from the start of the text, once for each row.
    found = entities(spark, plan)
    assert all(texts[i][begin:end] == text for i, begin, end, text, *_ in found)
    assert len(found) == 2 * texts["10 MB"].count("aspirin") + 1
    ledger = {r.note_id: r for r in plan.root.read(spark, PROCESSED_NOTES).collect()}
    assert {i: r.characters for i, r in ledger.items()} == {i: len(t) for i, t in texts.items()}
    assert ledger["no space"].windows == 500
    # The big note's windows are copies of few texts, and each was scored once.
    assert record.scored_windows < 600


@pytest.mark.whole
def test_many_small_slices_give_the_same_rows(
    spark, make_plan: MakePlan, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, sliced = make_plan(samples, "whole"), make_plan(samples, "sliced", slice_seconds=1e-6)
    run_extraction(spark, whole, Progress())
    monkeypatch.setattr("pipelines.scoring.prediction_table.FIRST_SLICE_CHARACTERS", 40_000)
    monkeypatch.setattr("pipelines.scoring.prediction_table.SMALLEST_SLICE", 0.2)
    told = Told()
    run_extraction(spark, sliced, told)
    assert len(told.slices) > 3
    assert entities(spark, sliced) == entities(spark, whole)


@pytest.mark.whole
def test_partitions_formats_and_order_change_no_row(
    spark, make_plan: MakePlan, samples: Path, tmp_path: Path
) -> None:
    rows = spark.read.json(str(samples))
    plan = make_plan(samples, "json")
    run_extraction(spark, plan, Progress())
    expected = entities(spark, plan)
    rows.repartition(16).write.parquet(str(tmp_path / "n16.parquet"))
    backwards = rows.orderBy(F.col("note_id").desc()).coalesce(1)
    backwards.write.format("delta").save(str(tmp_path / "n1"))
    for name, partitions in (("n16.parquet", 16), ("n1", 1)):
        other = make_plan(tmp_path / name, f"root of {name}", partitions=partitions)
        run_extraction(spark, other, Progress())
        assert entities(spark, other) == expected
    run = other.root.read(spark, RUNS).first()
    assert run.input_version == 0  # of the Delta table, the last of them


@pytest.mark.whole
def test_the_notes_of_one_file_are_work_for_every_slot(
    spark, make_plan: MakePlan, tmp_path: Path
) -> None:
    texts = [(f"n{i}", f"aspirin {i}", None) for i in range(2 * NOTES_A_PARTITION)]
    plan = make_plan(write_notes(tmp_path / "n.jsonl", *texts))
    record = run_extraction(spark, plan, Progress())
    assert record.entities == len(texts)
    files = set(plan.root.read(spark, ENTITIES).inputFiles())
    assert len(files) == task_slots(spark) == 2  # each written by the task that had its notes
    texts.append(("late", "aspirin late", None))  # and the few of another day are one task's
    write_notes(tmp_path / "n.jsonl", *texts)
    assert run_extraction(spark, plan, Progress()).entities == 1
    assert len(set(plan.root.read(spark, ENTITIES).inputFiles()) - files) == 1


@pytest.mark.whole
def test_a_failed_run_says_so_and_the_next_one_finishes(
    spark, make_plan: MakePlan, tmp_path: Path
) -> None:
    notes = write_notes(tmp_path / "n.jsonl", ("a", "aspirin for anemia", None))
    plan = make_plan(notes)
    with pytest.raises(AssertionError):
        run_extraction(spark, replace(plan, engine=_refuse), Progress())
    run = plan.root.read(spark, RUNS).first()
    assert (run.status, run.error) == ("failed", "AssertionError")
    assert entities(spark, plan) == []
    run_extraction(spark, plan, Progress())
    assert [r[3] for r in entities(spark, plan)] == ["aspirin", "anemia"]


@pytest.mark.whole
def test_the_first_error_is_told_even_where_the_record_cannot_be_written(
    spark, make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("pipelines.run.run_record.finish", broken)
    notes = write_notes(tmp_path / "n.jsonl", ("a", "aspirin", None))
    with pytest.raises(AssertionError):
        run_extraction(spark, make_plan(notes, engine=_refuse), Progress())


def test_tables_are_no_source_of_notes(spark, make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="made from"):
        run_extraction(spark, make_plan(tmp_path / "root" / "entities"), Progress())


def test_a_source_without_rows_is_an_input_error_and_writes_nothing(
    spark, make_plan: MakePlan, tmp_path: Path
) -> None:
    spark.createDataFrame([], "note_id string, text string").write.parquet(
        str(tmp_path / "n.parquet")
    )
    plan = make_plan(tmp_path / "n.parquet")
    with pytest.raises(InputError, match="no notes"):
        run_extraction(spark, plan, Progress())
    assert not (tmp_path / "root").exists()


@pytest.mark.whole
def test_a_limit_takes_so_many(spark, make_plan: MakePlan, samples: Path) -> None:
    plan = make_plan(samples)
    plan = replace(plan, source=replace(plan.source, limit=7))
    record = run_extraction(spark, plan, Progress())
    assert record.rows_read == record.notes == 7
    assert plan.root.read(spark, PROCESSED_NOTES).count() == 7


def test_extract_entities_needs_no_tables(
    spark, samples: Path, fake_engine, fake_classifier
) -> None:
    notes = spark.read.json(str(samples)).limit(5)
    settings = AnnotationSettings(model="fake")
    found = extract_entities(notes, fake_engine, KEY, settings, partitions=2).collect()
    expected = {
        (row.note_id, s.begin, s.end)
        for row in notes.collect()
        for s in find_entities(row.text, fake_classifier)
    }
    assert {(r.note_id, r.begin, r.end) for r in found} == expected
