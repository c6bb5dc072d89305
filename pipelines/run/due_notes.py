"""Which notes of a source are to be worked on, and which are to lose their rows.

Compares one row for each note with the ledger: by text, pipeline and storetime. It does not know
how notes are worked on, nor how rows are written.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.tables.definitions import PROCESSED_NOTES
from pipelines.tables.table_root import TableRoot


def compare_with_ledger(
    spark: SparkSession, root: TableRoot, notes: DataFrame, model: str, pipeline: str
) -> DataFrame | None:
    """The notes of which the ledger says something else, or nothing.

    A row that is older than the one that the ledger knows, and has another text, is a late
    original: its amendment is done, and stays.

    Args:
        spark: the session.
        root: where the tables are.
        notes: one row for each note, with `note_id, text_hash, storetime`.
        model: whose rows count.
        pipeline: the fingerprint of all that changes them.

    Returns:
        `note_id, storetime` with `is_due`, where this pipeline has not done the note with this
        text (else the text is the one that was done, stored again later), and `is_known`, where
        the note stands in the ledger. None: the ledger is empty, so all notes are due.
    """
    ledger = root.snapshot(spark, PROCESSED_NOTES).where(F.col("model") == model)
    if ledger.isEmpty():
        return None
    done = ledger.select(
        "note_id",
        F.col("text_hash").alias("_done_hash"),
        F.col("storetime").alias("_done_storetime"),
        (F.col("pipeline_fingerprint") == pipeline).alias("_same_pipeline"),
    )
    is_new = F.col("_done_hash").isNull()
    same_text = F.col("_done_hash") == F.col("text_hash")
    # Null sorts first: a row without a time is older than one that has any.
    is_older = F.coalesce(
        F.col("storetime") < F.col("_done_storetime"),
        F.col("storetime").isNull() & F.col("_done_storetime").isNotNull(),
    )
    is_due = is_new | F.when(same_text, ~F.col("_same_pipeline")).otherwise(~is_older)
    is_newer = F.coalesce(
        F.col("storetime") > F.col("_done_storetime"),
        F.col("storetime").isNotNull() & F.col("_done_storetime").isNull(),
    )
    # Without their texts, which would be sorted and sent about to find the few that are due.
    keys = notes.select("note_id", "text_hash", "storetime")
    joined = keys.join(done, on="note_id", how="left").where(is_due | is_newer)
    flags = (is_due.alias("is_due"), (~is_new).alias("is_known"))
    return joined.select("note_id", "storetime", *flags)


def withdrawn_notes(
    spark: SparkSession, root: TableRoot, rows: DataFrame, listed: DataFrame | None
) -> DataFrame:
    """The notes (`note_id`) that have rows in the ledger and must not.

    Args:
        spark: the session.
        root: where the tables are.
        rows: `note_id, storetime` of rows that say that their note is withdrawn. One that is
            older than what was done says nothing of that.
        listed: `note_id` of notes that are withdrawn whatever their rows say.
    """
    ledger = root.snapshot(spark, PROCESSED_NOTES)
    latest = ledger.groupBy("note_id").agg(F.max("storetime").alias("_done_storetime"))
    is_older = F.coalesce(F.col("storetime") < F.col("_done_storetime"), F.lit(False))
    gone = rows.join(latest, on="note_id", how="inner").where(~is_older).select("note_id")
    if listed is not None:
        gone = gone.unionByName(listed.join(latest, on="note_id", how="left_semi"))
    return gone.distinct()
