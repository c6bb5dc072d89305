"""Which rows count as notes: a verdict on each, a keyed hash of each text, one row for each id.

Owns the rules of quarantine that need no model. It does not know where rows come from.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from udfs.text_hash import hmac_pads


def judge_notes(notes: DataFrame, max_characters: int) -> DataFrame:
    """Adds ``rule`` and ``detail``: null for a note that can be worked on.

    The gate stands in the JVM, before any Python: bytes that are not UTF-8 kill an Arrow batch
    there, and Spark then prints the whole text.
    """
    rules = (
        ("unreadable_row", F.col("corrupt").isNotNull(), F.lit("the row is not valid JSON")),
        ("no_note_id", F.coalesce(F.trim("note_id"), F.lit("")) == "", F.lit("the id is empty")),
        (
            "invalid_utf8",
            ~(_is_utf8("note_id") & _is_utf8("text")),
            F.lit("the id or the text holds bytes that are not UTF-8"),
        ),
        (
            "too_long",
            F.length("text") > max_characters,
            F.concat(
                F.length("text").cast("string"),
                F.lit(f" characters, run.max_note_characters is {max_characters}"),
            ),
        ),
    )
    rule, detail = F.lit(None).cast("string"), F.lit(None).cast("string")
    for name, broken, why in reversed(rules):
        rule = F.when(broken, F.lit(name)).otherwise(rule)
        detail = F.when(broken, why).otherwise(detail)
    # An id that is not UTF-8 could not be shown anywhere; its row is known by its hash.
    note_id = F.when(_is_utf8("note_id"), F.col("note_id"))
    return notes.withColumns({"rule": rule, "detail": detail, "note_id": note_id})


def _is_utf8(name: str) -> Column:
    column = F.coalesce(F.col(name), F.lit(""))
    return F.encode(column, "UTF-8") == column.cast("binary")


def with_text_hash(spark: SparkSession, notes: DataFrame, key: bytes) -> DataFrame:
    """Adds ``text_hash``, the keyed hash of the text (of the raw row where that is corrupt).

    HMAC-SHA256 built from SHA-256; the key comes by a broadcast row, because a literal would
    stand in query plans and event logs. Equal to ``udfs.text_hash``.
    """
    inner, outer = hmac_pads(key)
    pads = spark.createDataFrame([(inner, outer)], "_inner binary, _outer binary")
    content = F.coalesce("corrupt", "text", F.lit("")).cast("binary")
    inside = F.unhex(F.sha2(F.concat("_inner", content), 256))
    hashed = F.sha2(F.concat("_outer", inside), 256)
    return (
        notes.crossJoin(F.broadcast(pads)).withColumn("text_hash", hashed).drop("_inner", "_outer")
    )


def one_row_each(notes: DataFrame) -> tuple[DataFrame, DataFrame | None]:
    """Of several rows with one id: the latest storetime wins, equal text counts once.

    Args:
        notes: good notes with ``text_hash``.

    Returns:
        the rows that count, and (None where every id is unique) the notes whose latest rows
        disagree: ``note_id``, ``text_hash`` of one of them.
    """
    repeated = notes.groupBy("note_id").count().where("count > 1").select("note_id")
    if repeated.isEmpty():
        return notes, None
    again = notes.join(repeated, on="note_id", how="left_semi")
    latest = again.groupBy("note_id").agg(F.max("storetime").alias("_latest"))
    last = again.join(latest, on="note_id", how="inner").where(
        F.col("storetime").eqNullSafe(F.col("_latest"))
    )
    verdict = last.groupBy("note_id").agg(
        F.countDistinct("text_hash").alias("_texts"), F.min("text_hash").alias("text_hash")
    )
    agreed = (
        last.drop("_latest")
        .join(verdict.where("_texts = 1").select("note_id"), on="note_id", how="left_semi")
        .dropDuplicates(["note_id"])
    )
    once = notes.join(repeated, on="note_id", how="left_anti")
    return once.unionByName(agreed), verdict.where("_texts > 1").select("note_id", "text_hash")
