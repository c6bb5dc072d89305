"""Reads a Delta table of notes as a stream until nothing new is left; each micro-batch is a run.

The stream's checkpoint only says what to look at; the ledger says what is done. So a lost or old
checkpoint costs time and nothing else. This module does not know how a run works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.utils import is_remote

from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.run.run_plan import RunPlan
from pipelines.run.run_record import RunRecord
from pipelines.run.source_overlap import refuse_overlap
from pipelines.source.change_feed import net_rows
from pipelines.source.note_source import (
    NoteSource,
    delta_name,
    resolve_source,
    sql_name,
    with_format,
)
from pipelines.spark.error_names import error_class
from pipelines.tables.definitions import PROCESSED_NOTES
from pipelines.tables.table_root import create_tables
from udfs.errors import ClinspanError, InputError


def run_stream(
    spark: SparkSession,
    plan: RunPlan,
    checkpoint: str | None,
    progress: Progress,
    done: Callable[[RunRecord], None],
) -> None:
    """Processes everything that came into a Delta source since the checkpoint.

    Args:
        spark: the session.
        plan: what to do; the source is a Delta table whose change data feed is on.
        checkpoint: a folder or URI for the checkpoints of streams; None: below the root.
        progress: is told what happens.
        done: is called with the record of each micro-batch once it is committed.

    Raises:
        InputError: the source cannot be read as a stream, or there is no place for the checkpoint.
        ClinspanError: a run failed; a rerun resumes with the same micro-batch.
    """
    if is_remote():
        raise InputError(
            "--trigger available-now runs each micro-batch in the driver, which Spark Connect does "
            "not do: use --changed-only there, which reads the same changes"
        )
    refuse_overlap(plan.root, plan.source.path, plan.source.table)
    plan = replace(plan, source=with_format(plan.source))
    _refuse_other_sources(spark, plan.source)
    create_tables(spark, plan.root)
    errors: list[BaseException] = []

    def work(rows: DataFrame, number: int) -> None:
        try:
            changes = net_rows(rows, plan.source.columns.names())
            done(run_extraction(rows.sparkSession, plan, progress, changes))
        except BaseException as error:
            errors.append(error)  # the stream's own error holds it only as text
            raise

    place = _checkpoint(spark, plan, checkpoint)
    try:
        writer = _read(spark, plan.source).writeStream.foreachBatch(work)
        query = writer.option("checkpointLocation", place).trigger(availableNow=True).start()
        query.awaitTermination()
    except Exception as error:
        if errors:
            raise errors[0] from None
        raise ClinspanError(
            f"the stream of {plan.source.describe()} ended ({error_class(error)}). If its history "
            "was vacuumed beyond the checkpoint, or the table was made anew, remove the checkpoint "
            f"{place} and run again: the ledger knows what is done"
        ) from None


def _refuse_other_sources(spark: SparkSession, source: NoteSource) -> None:
    if source.is_part or source.limit is not None:
        raise InputError(
            "a stream reads all that is new, so --trigger available-now takes no limit, since, "
            "until or changed_only beside it; leave them out"
        )
    name = delta_name(source)
    if name is None or resolve_source(spark, source).version is None:
        raise InputError(
            f"{source.describe()} is no Delta table: --trigger available-now reads only these as a "
            "stream; leave it out, or import the notes (jobs/import_notes.py)"
        )
    properties = spark.sql(f"DESCRIBE DETAIL {name}").select("properties").first()
    if properties is None or properties[0].get("delta.enableChangeDataFeed") != "true":
        raise InputError(
            f"{source.describe()} has no change data feed, without which a stream dies of the "
            f"first amended note: ALTER TABLE {name} SET TBLPROPERTIES "
            "(delta.enableChangeDataFeed = true), then run again"
        )


def _read(spark: SparkSession, source: NoteSource) -> DataFrame:
    reader = spark.readStream.format("delta").option("readChangeFeed", "true")
    return reader.table(sql_name(source.table)) if source.table else reader.load(str(source.path))


def _checkpoint(spark: SparkSession, plan: RunPlan, base: str | None) -> str:
    """The checkpoint folder of this source, this ledger and this pipeline.

    A recreated source or root, or another pipeline, gets a new folder and starts from the
    beginning: with the old checkpoint it would skip rows that it has not seen.
    """
    if base is None:
        if plan.root.path is None:
            raise InputError(
                "a root that is a schema has no folder for the checkpoint of a stream: give "
                "--set run.checkpoint=PLACE, a folder or URI that stays"
            )
        base = f"{plan.root.path}/_checkpoints"
    parts = [plan.pipeline_fingerprint]
    for name in (delta_name(plan.source), plan.root.sql_name(PROCESSED_NOTES)):
        detail = spark.sql(f"DESCRIBE DETAIL {name}").select("id").first()
        parts.append("" if detail is None else str(detail["id"]))
    return f"{base.rstrip('/')}/{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:16]}"
