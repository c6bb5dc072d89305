"""Writes refused rows into quarantine: each once, with the rule that it broke, without text."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.run.run_record import RunRecord
from pipelines.tables.definitions import QUARANTINED_NOTES
from pipelines.tables.row_writes import add_missing
from pipelines.tables.table_root import TableRoot

# The rule that a note breaks if one of its windows kills, hangs or breaks the model.
MODEL_FAILURE = "model_failure"


def quarantine(spark: SparkSession, root: TableRoot, record: RunRecord, refused: DataFrame) -> int:
    """Writes refused rows into quarantine, each once however often it comes.

    Args:
        spark: the session.
        root: where the table is.
        record: the run that refuses them.
        refused: `note_id, text_hash, rule, detail`; the detail holds no text of a note.

    Returns:
        how many rows are refused, including those that an earlier run wrote.
    """
    rows = refused.dropDuplicates(["note_id", "text_hash", "rule"]).withColumns(
        {
            "row_hint": F.coalesce("note_id", "text_hash"),
            "pipeline_fingerprint": F.lit(record.pipeline_fingerprint),
            "run_id": F.lit(record.run_id),
            "at": F.lit(record.start),
        }
    )
    keys = ("row_hint", "text_hash", "rule", "pipeline_fingerprint")
    add_missing(spark, root, QUARANTINED_NOTES, rows, keys)
    return refused.count()
