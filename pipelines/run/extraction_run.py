"""One run over a root: which notes are due, what is scored, what is written, in which order.

The order makes a crash safe: first predictions, slice by slice; then a mark on the ledger rows of
notes that will change; then windows and entities; the ledger last. A run that dies repeats little
more than one slice and never loses or doubles a row. This module knows the steps; it knows nothing
of texts, models, rows or the command line.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.entity_extraction import find_windows, with_text
from pipelines.progress import Progress
from pipelines.run import run_record
from pipelines.run.due_notes import compare_with_ledger, withdrawn_notes
from pipelines.run.note_writing import Results, Stamp, remove_notes, update_storetimes, write_notes
from pipelines.run.quarantine import MODEL_FAILURE, quarantine
from pipelines.run.run_input import RunInput, open_input
from pipelines.run.run_lease import hold_root
from pipelines.run.run_plan import RunPlan, source_of
from pipelines.run.run_record import RunRecord
from pipelines.run.source_overlap import refuse_overlap
from pipelines.scoring.distinct_windows import distinct_windows, partitions_for, size_of, spread
from pipelines.scoring.prediction_table import PredictionTable, count_windows
from pipelines.source.note_selection import one_row_each
from pipelines.source.note_source import note_ids
from pipelines.spark.caching import kept
from pipelines.spark.slots import task_slots
from pipelines.tables.table_root import create_tables


def run_extraction(
    spark: SparkSession, plan: RunPlan, progress: Progress, raw: DataFrame | None = None
) -> RunRecord:
    """Brings the tables of a root up to date with a source of notes.

    Args:
        spark: the session.
        plan: what to do.
        progress: is told what happens.
        raw: rows that a stream of the source gave; None: the source is read.

    Returns:
        the record of the run as it stands in the table `runs`.

    Raises:
        InputError: the source or the root cannot be used; no note was worked on.
        RootBusyError: another run holds the root.
        ClinspanError: the run failed; the record says so, and a rerun resumes from there.
    """
    progress.step("reading notes")
    refuse_overlap(plan.root, plan.source.path, plan.source.table)
    with ExitStack() as stack:
        notes = stack.enter_context(_open(spark, plan, raw))
        create_tables(spark, plan.root)
        record = _new_record(plan, notes)
        with hold_root(spark, plan.root, record, plan.wait_seconds) as lease:
            try:
                if lease.waited:
                    # The run that held the root may have read newer notes and recorded that.
                    notes = stack.enter_context(_open(spark, plan, raw))
                    record = replace(_new_record(plan, notes), run_id=record.run_id)
                record = _work(spark, plan, notes, record, progress, lease.refuse_lost)
            except BaseException as error:
                cause = notes.cause_of(spark, error)
                record = replace(record, status="failed", error=type(cause).__name__, end=_now())
                # What broke the run may break this write as well; report the first error.
                with suppress(Exception):
                    run_record.finish(spark, plan.root, record)
                if cause is error:
                    raise
                raise cause from None
        run_record.finish(spark, plan.root, record)
        return record


def _open(
    spark: SparkSession, plan: RunPlan, raw: DataFrame | None
) -> AbstractContextManager[RunInput]:
    source = source_of(spark, plan)
    return open_input(spark, source, plan.key, plan.max_note_characters, raw)


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
        model_source=plan.model_source,
        rows_read=counts.rows_read,
        quarantined_notes=counts.refused,
        withdrawn_notes=counts.withdrawn,
        notes_with_lost_details=counts.details_lost,
        notes=counts.good,
        missing_details=notes.missing,
    )


def _work(
    spark: SparkSession,
    plan: RunPlan,
    notes: RunInput,
    record: RunRecord,
    progress: Progress,
    refuse_if_lease_lost: Callable[[], None],
) -> RunRecord:
    rows, record = _choose_rows(spark, plan, notes.rows, record)
    record = _withdraw(spark, plan, rows, record)
    standing = with_text(rows.where("NOT withdrawn"))
    model, pipeline = plan.annotation.model, plan.pipeline_fingerprint
    found = compare_with_ledger(spark, plan.root, standing, model, pipeline)
    with kept(found) if found is not None else nullcontext() as differing:
        chosen, known, due_count = _choose_due(
            spark, plan, standing, differing, refuse_if_lease_lost
        )
        slots = task_slots(spark)
        due_count = record.notes if due_count is None else due_count
        with kept(spread(chosen, due_count, notes.counts.partitions, slots)) as due:
            progress.step("finding windows")
            count, characters = size_of(due)
            notes.refuse_changes(spark)  # from here on everything is read from the cache
            record = replace(record, unchanged_notes=record.notes - count)
            parts = plan.partitions or partitions_for(slots, characters)
            if count:
                record = _work_on(
                    spark, plan, notes, due, known, parts, record, progress, refuse_if_lease_lost
                )
    progress.step("counting")
    return run_record.completed(spark, plan.root, record, _now())


def _choose_due(
    spark: SparkSession,
    plan: RunPlan,
    notes: DataFrame,
    differing: DataFrame | None,
    refuse_if_lease_lost: Callable[[], None],
) -> tuple[DataFrame, DataFrame | None, int | None]:
    """Chooses the due notes, and updates the storetime of notes that were only stored again.

    Returns:
        the due notes; the ids of those that stand in the ledger already (None: none does); how
        many are due (None: all).
    """
    if differing is None:
        return notes, None, None
    # Counting fills the cache, so Spark knows how many ids there are: if they are few, it
    # broadcasts them to the texts instead of shuffling the texts.
    counts = differing.agg(
        F.count_if("is_due").alias("due"),
        F.count_if(F.expr("is_due AND is_known")).alias("known"),
        F.count_if(F.expr("NOT is_due")).alias("moved"),
    ).first()
    if counts and counts["moved"]:
        refuse_if_lease_lost()
        update_storetimes(spark, plan.root, differing.where("NOT is_due"), plan.annotation.model)
    ids = differing.where("is_due").select("note_id", "is_known")
    due = notes.join(ids, on="note_id", how="left_semi")
    known = ids.where("is_known") if counts and counts["known"] else None
    return due, known, counts["due"] if counts else 0


def _work_on(
    spark: SparkSession,
    plan: RunPlan,
    notes: RunInput,
    due: DataFrame,
    known: DataFrame | None,
    partitions: int,
    record: RunRecord,
    progress: Progress,
    refuse_if_lease_lost: Callable[[], None],
) -> RunRecord:
    windows = find_windows(due, plan.key)
    table = PredictionTable(spark, plan.root, plan.model_fingerprint)
    # Windows without text are small: cache them, so that notes are segmented at most twice.
    with (
        kept(windows.drop("text")) as places,
        kept(distinct_windows(windows, table.stored(places), partitions)) as missing,
    ):
        progress.step("scoring windows")
        started = time.monotonic()
        table.score(missing, plan.engine, plan.slice_seconds, progress.scored)
        seconds = time.monotonic() - started
        progress.step("writing entities")
        notes.refuse_changes(spark)  # rows cached on a lost executor are read again
        hashes = missing.select("window_hash")
        results = Results(due, known, places, hashes, table.stored(places))
        counts = count_windows(missing, results.predictions)
        record = replace(
            record,
            inference_seconds=seconds,
            distinct_windows=counts.distinct,
            scored_windows=counts.scored,
            scored_wordpieces=counts.scored_wordpieces,
        )
        if counts.failed:
            results, record = _refuse_failures(spark, plan, results, record)
        write_notes(
            spark, plan.root, results, plan.annotation, _stamp(plan, record), refuse_if_lease_lost
        )
    return record


def _choose_rows(
    spark: SparkSession, plan: RunPlan, judged: DataFrame, record: RunRecord
) -> tuple[DataFrame, RunRecord]:
    """Quarantines refused rows and keeps one row for each note, withdrawn or not."""
    rows, conflicts = one_row_each(judged.where("rule IS NULL"))
    counted = record.quarantined_notes
    if counted or conflicts is not None:
        refused = judged.where("rule IS NOT NULL").select("note_id", "text_hash", "rule", "detail")
        if conflicts is not None:
            refused = refused.unionByName(conflicts)
        record = replace(record, quarantined_notes=quarantine(spark, plan.root, record, refused))
    if conflicts is not None:
        left = rows.where("NOT withdrawn").count()
        # A note with conflicting rows counts as one quarantined row; its others are repeated.
        repeated = record.notes - left - (record.quarantined_notes - counted)
        record = replace(record, notes=left, repeated_rows=repeated)
    return rows, record


def _withdraw(spark: SparkSession, plan: RunPlan, rows: DataFrame, record: RunRecord) -> RunRecord:
    """Removes the rows of withdrawn notes."""
    ids = plan.source.withdrawn_ids
    if not record.withdrawn_notes and not ids:
        return record
    said = rows.where("withdrawn").select("note_id", "storetime")
    listed = note_ids(spark, ids) if ids else None
    gone = withdrawn_notes(spark, plan.root, said, listed)
    return replace(record, removed_notes=remove_notes(spark, plan.root, gone))


def _refuse_failures(
    spark: SparkSession,
    plan: RunPlan,
    results: Results,
    record: RunRecord,
) -> tuple[Results, RunRecord]:
    """Quarantines the notes in which a window kills, hangs or breaks the model."""
    failures = results.predictions.where("failure IS NOT NULL").select("window_hash", "failure")
    place = F.format_string("%s on the window at %d-%d", "failure", "begin", "end")
    broken = (
        results.windows.join(F.broadcast(failures), on="window_hash", how="inner")
        .groupBy("note_id")
        .agg(F.concat(F.lit("the model failed: "), F.min(place)).alias("detail"))
    )
    refused = broken.join(results.due.select("note_id", "text_hash"), on="note_id", how="inner")
    refused = refused.withColumn("rule", F.lit(MODEL_FAILURE))
    count = quarantine(spark, plan.root, record, refused)
    ids = broken.select("note_id")
    record = replace(
        record,
        quarantined_notes=record.quarantined_notes + count,
        notes=record.notes - count,
    )

    def without(rows: DataFrame) -> DataFrame:
        return rows.join(ids, on="note_id", how="left_anti")

    return replace(
        results,
        due=without(results.due),
        known=None if results.known is None else without(results.known),
        windows=without(results.windows),
    ), record


def _stamp(plan: RunPlan, record: RunRecord) -> Stamp:
    return Stamp(
        model=plan.annotation.model,
        model_fingerprint=plan.model_fingerprint,
        pipeline_fingerprint=plan.pipeline_fingerprint,
        run_id=record.run_id,
        processed_at=record.start,
    )


def _now() -> datetime:
    return datetime.now(UTC)
