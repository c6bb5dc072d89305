"""One run over a root: which notes are due, what is scored, what is written, in which order.

The order is the safety: predictions slice by slice, then windows, then entities, and the ledger
last. A run that dies repeats at most one slice and never loses or doubles a row. It knows tables
and steps; texts, models and the command line are others' business.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines import run_record, schemas
from pipelines.caching import kept
from pipelines.entity_extraction import annotate_notes, entities_of, find_windows, with_text
from pipelines.entity_table import replace_notes
from pipelines.inference import Engine, distinct_windows, task_slots
from pipelines.note_selection import one_row_each
from pipelines.note_source import NoteSource
from pipelines.overlap import refuse_overlap
from pipelines.prediction_table import PredictionTable
from pipelines.quarantine import quarantine
from pipelines.run_input import RunInput, open_input
from pipelines.run_record import RunRecord
from pipelines.table_root import TableRoot, create_tables
from udfs.note_annotation import AnnotationSettings

# A partition of the inference stage holds about this much text, so that no task grows with the run.
PARTITION_CHARACTERS = 16_000_000


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything that a run needs, as values."""

    source: NoteSource
    root: TableRoot
    engine: Engine
    key: bytes
    annotation: AnnotationSettings
    model_fingerprint: str
    pipeline_fingerprint: str
    settings_digest: str
    code_version: str
    partitions: int | None
    slice_seconds: float
    max_note_characters: int


class Progress:
    """What a run tells while it works; the command line shows it, a test may ignore it."""

    def step(self, words: str) -> None:
        """A new step begins."""

    def scored(self, characters: int, total: int) -> None:
        """So many characters of new, distinct window text are scored and stored."""


def run_extraction(spark: SparkSession, plan: RunPlan, progress: Progress) -> RunRecord:
    """Brings the tables of a root up to date with a source of notes.

    Returns:
        the record of the run as it stands in the table ``runs``.

    Raises:
        InputError: the source or the root cannot be used; no note was worked on.
        ClinspanError: the run failed; the record says so, and a rerun goes on from there.
    """
    progress.step("reading notes")
    refuse_overlap(plan.root, plan.source.path, plan.source.table)
    with open_input(spark, plan.source, plan.key, plan.max_note_characters) as notes:
        create_tables(spark, plan.root)
        record = _new_record(plan, notes)
        run_record.begin(spark, plan.root, record)
        try:
            record = _work(spark, plan, notes, record, progress)
        except BaseException as error:
            cause = notes.cause_of(spark, error)
            failed = replace(record, status="failed", error=type(cause).__name__, end=_now())
            # What broke the run may break this as well; the first error is the one to tell.
            with suppress(Exception):
                run_record.finish(spark, plan.root, failed)
            if cause is error:
                raise
            raise cause from None
        run_record.finish(spark, plan.root, record)
        return record


def _new_record(plan: RunPlan, notes: RunInput) -> RunRecord:
    counts = notes.counts
    return RunRecord(
        run_id=uuid.uuid4().hex,
        start=_now(),
        status="running",
        input=notes.source.describe(),
        input_version=notes.source.version,
        settings_digest=plan.settings_digest,
        code_version=plan.code_version,
        model=plan.annotation.model,
        model_fingerprint=plan.model_fingerprint,
        pipeline_fingerprint=plan.pipeline_fingerprint,
        rows_read=counts.rows_read,
        quarantined_notes=counts.refused,
        withdrawn_notes=counts.withdrawn,
        notes_with_lost_details=counts.details_lost,
        notes=counts.good,
        missing_details=notes.missing,
    )


def _work(
    spark: SparkSession, plan: RunPlan, notes: RunInput, record: RunRecord, progress: Progress
) -> RunRecord:
    rows, record = _choose_rows(spark, plan, notes.rows, record)
    with kept(with_text(_due(spark, plan, rows))) as due:
        progress.step("finding windows")
        count = due.count()
        notes.refuse_changes(spark)  # from here on all is read from the cache
        record = replace(record, unchanged_notes=record.notes - count)
        if count:
            record = _work_on(spark, plan, notes, due, record, progress)
    progress.step("counting")
    return run_record.completed(spark, plan.root, record, _now())


def _work_on(
    spark: SparkSession,
    plan: RunPlan,
    notes: RunInput,
    due: DataFrame,
    record: RunRecord,
    progress: Progress,
) -> RunRecord:
    windows = find_windows(due, plan.key)
    table = PredictionTable(spark, plan.root, plan.model_fingerprint)
    partitions = plan.partitions or _partitions(spark, due)
    # Without their text the windows are small: kept, so that notes are segmented twice at most.
    with (
        kept(distinct_windows(windows, table.known(), partitions)) as missing,
        kept(windows.drop("text")) as places,
    ):
        progress.step("scoring windows")
        started = time.monotonic()
        table.score(missing, plan.engine, plan.slice_seconds, progress.scored)
        seconds = time.monotonic() - started
        progress.step("writing entities")
        notes.refuse_changes(spark)  # a cache that was lost with an executor is read anew
        _write_notes(spark, plan, record, due, places, missing, table.stored())
        scored, wordpieces = table.count(missing)
    return replace(
        record,
        inference_seconds=seconds,
        scored_windows=scored,
        scored_wordpieces=wordpieces,
    )


def _choose_rows(
    spark: SparkSession, plan: RunPlan, judged: DataFrame, record: RunRecord
) -> tuple[DataFrame, RunRecord]:
    """Quarantines what has to be, and leaves one row for each note."""
    good = judged.where("rule IS NULL AND NOT withdrawn")
    notes, conflicts = one_row_each(good)
    refused = record.quarantined_notes
    if refused or conflicts is not None:
        refused = quarantine(spark, plan.root, record, judged, conflicts)
    if conflicts is not None:
        left, in_conflict = notes.count(), refused - record.quarantined_notes
        # A note in conflict is one quarantined row; its further rows are repeated ones.
        repeated = record.notes - left - in_conflict
        record = replace(record, notes=left, repeated_rows=repeated)
    return notes, replace(record, quarantined_notes=refused)


def _due(spark: SparkSession, plan: RunPlan, notes: DataFrame) -> DataFrame:
    """The notes that the ledger does not have with this text and this pipeline."""
    ledger = plan.root.snapshot(spark, schemas.PROCESSED_NOTES).where(
        (F.col("model") == plan.annotation.model)
        & (F.col("pipeline_fingerprint") == plan.pipeline_fingerprint)
    )
    if ledger.isEmpty():
        return notes
    done = ledger.select("note_id", "text_hash")
    return notes.join(done, on=["note_id", "text_hash"], how="left_anti")


def _partitions(spark: SparkSession, due: DataFrame) -> int:
    characters = due.agg(F.sum(F.length("text"))).first()
    total = int(characters[0] or 0) if characters else 0
    slots = task_slots(spark)
    return max(slots, slots * -(-total // (slots * PARTITION_CHARACTERS)))


def _write_notes(
    spark: SparkSession,
    plan: RunPlan,
    record: RunRecord,
    due: DataFrame,
    windows: DataFrame,
    missing: DataFrame,
    predictions: DataFrame,
) -> None:
    annotated = annotate_notes(due, windows, predictions, plan.annotation)
    ids = due.select("note_id")
    with kept(annotated) as notes:
        replace_notes(spark, plan.root, schemas.NOTE_WINDOWS, windows, ids)
        stamped = _stamp(plan, record, entities_of(notes).join(_details(due), "note_id", "inner"))
        model = plan.annotation.model
        replace_notes(spark, plan.root, schemas.ENTITIES, stamped, ids, model)
        ledger = _ledger_rows(plan, record, notes, due, windows, missing)
        replace_notes(spark, plan.root, schemas.PROCESSED_NOTES, ledger, ids, model)


def _details(due: DataFrame) -> DataFrame:
    return due.select("note_id", *(n for n in schemas.NOTE_DETAILS if n != "storetime"))


def _ledger_rows(
    plan: RunPlan,
    record: RunRecord,
    annotated: DataFrame,
    due: DataFrame,
    windows: DataFrame,
    missing: DataFrame,
) -> DataFrame:
    """The ledger's rows; a window is new in a note if this run was the first to score its text."""
    new = (
        windows.join(missing.select("window_hash"), on="window_hash", how="left_semi")
        .groupBy("note_id")
        .agg(F.count(F.lit(1)).cast("int").alias("new_windows"))
    )
    joined = (
        annotated.withColumn("entities", F.size("entities"))
        .join(due.select("note_id", "text_hash", "storetime"), on="note_id", how="inner")
        .join(new, on="note_id", how="left")
        .withColumn("new_windows", F.coalesce("new_windows", F.lit(0)))
    )
    return _stamp(plan, record, joined)


def _stamp(plan: RunPlan, record: RunRecord, rows: DataFrame) -> DataFrame:
    return rows.withColumns(
        {
            "model": F.lit(plan.annotation.model),
            "model_fingerprint": F.lit(plan.model_fingerprint),
            "pipeline_fingerprint": F.lit(plan.pipeline_fingerprint),
            "run_id": F.lit(record.run_id),
            "processed_at": F.lit(record.start),
        }
    )


def _now() -> datetime:
    return datetime.now(UTC)
