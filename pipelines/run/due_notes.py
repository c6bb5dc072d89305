"""Which notes of a source are due, and which were withdrawn and must lose their rows.

It compares one row of each note with the ledger, by text, pipeline and storetime. It does not know
how notes are processed or how rows are written.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.tables.definitions import PROCESSED_NOTES
from pipelines.tables.table_root import TableRoot


def compare_with_ledger(
    spark: SparkSession, root: TableRoot, notes: DataFrame, model: str, pipeline: str
) -> DataFrame | None:
    """The notes that the ledger lacks or describes differently.

    A row with another text and an older storetime than the ledger's is an original that came late:
    its amendment is already done and stays, so the row is left out.

    Args:
        spark: the session.
        root: where the tables are.
        notes: one row for each note, with `note_id, text_hash, storetime`.
        model: the model whose ledger rows count.
        pipeline: the fingerprint of everything that changes rows.

    Returns:
        `note_id, storetime, is_due, is_known`. `is_due`: this pipeline has not done the note with
        this text; if false, the text is done and was only stored again later. `is_known`: the note
        stands in the ledger. None: the ledger has no rows of this model, so all notes are due.
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
    # Null sorts first: a row without a time is older than one with a time.
    is_older = F.coalesce(
        F.col("storetime") < F.col("_done_storetime"),
        F.col("storetime").isNull() & F.col("_done_storetime").isNotNull(),
    )
    is_due = is_new | F.when(same_text, ~F.col("_same_pipeline")).otherwise(~is_older)
    is_newer = F.coalesce(
        F.col("storetime") > F.col("_done_storetime"),
        F.col("storetime").isNotNull() & F.col("_done_storetime").isNull(),
    )
    # Leave out the texts: the join would sort and shuffle all of them to find the few due notes.
    keys = notes.select("note_id", "text_hash", "storetime")
    joined = keys.join(done, on="note_id", how="left").where(is_due | is_newer)
    flags = (is_due.alias("is_due"), (~is_new).alias("is_known"))
    return joined.select("note_id", "storetime", *flags)


def withdrawn_notes(
    spark: SparkSession, root: TableRoot, rows: DataFrame, listed: DataFrame | None
) -> DataFrame:
    """The notes (`note_id`) that are withdrawn but still have rows in the ledger.

    Args:
        spark: the session.
        root: where the tables are.
        rows: `note_id, storetime` of rows that say that their note is withdrawn. A row older
            than the note's ledger row does not count.
        listed: `note_id` of notes that are withdrawn whatever their rows say.
    """
    ledger = root.snapshot(spark, PROCESSED_NOTES)
    latest = ledger.groupBy("note_id").agg(F.max("storetime").alias("_done_storetime"))
    is_older = F.coalesce(F.col("storetime") < F.col("_done_storetime"), F.lit(False))
    gone = rows.join(latest, on="note_id", how="inner").where(~is_older).select("note_id")
    if listed is not None:
        gone = gone.unionByName(listed.join(latest, on="note_id", how="left_semi"))
    return gone.distinct()
