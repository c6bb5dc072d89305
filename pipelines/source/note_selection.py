"""Which rows count as notes: a verdict on each, a keyed hash of each text, one row for each id.

Owns the rules of quarantine that need no model. It does not know where rows come from.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.source.source_files import FILE, SourceFile, file_at
from udfs.text.text_hash import hmac_pads

# A visible character: nobody could look up an id of blanks and control characters only.
_VISIBLE = r"[^\s\p{Z}\p{Cc}\p{Cf}]"
_COUNTS = ("rows_read", "refused", "withdrawn", "good", "details_lost")


def judge_notes(notes: DataFrame, max_characters: int) -> DataFrame:
    """Adds `rule` and `detail`: both are null for a row that can be a note.

    The rules are tested in the JVM, before any row reaches Python: bytes that are not UTF-8 kill an
    Arrow batch there, and Spark then prints the whole text.
    """
    has_id = F.coalesce(F.col("note_id").rlike(_VISIBLE), F.lit(False))
    rules = (
        (
            "unreadable_row",
            F.col("corrupt").isNotNull(),
            F.lit("the row cannot be read in its format"),
        ),
        ("no_note_id", ~has_id, F.lit("the id is empty")),
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
    # Bytes that are not UTF-8 cannot be shown anywhere. A row with such an id is known by its hash,
    # and such a note type counts as a lost detail.
    note_id = F.when(_is_utf8("note_id"), F.col("note_id"))
    note_type = F.when(_is_utf8("note_type"), F.col("note_type"))
    lost = F.col("details_lost") | ~_is_utf8("note_type")
    return notes.withColumns(
        {
            "rule": rule,
            "detail": detail,
            "note_id": note_id,
            "note_type": note_type,
            "details_lost": lost,
        }
    )


def _is_utf8(name: str) -> Column:
    column = F.coalesce(F.col(name), F.lit(""))
    return F.encode(column, "UTF-8") == column.cast("binary")


def with_text_hash(spark: SparkSession, notes: DataFrame, key: bytes) -> DataFrame:
    """Adds `text_hash`, the keyed hash of the text (of the raw row if that is corrupt).

    It is HMAC-SHA256 built from Spark's SHA-256, and equals the hash of `udfs.text.text_hash`. The
    key comes in a broadcast row, because a literal would stand in query plans and event logs.
    """
    inner, outer = hmac_pads(key)
    pads = spark.createDataFrame([(inner, outer)], "_inner binary, _outer binary")
    content = F.coalesce("corrupt", "text", F.lit("")).cast("binary")
    inside = F.unhex(F.sha2(F.concat("_inner", content), 256))
    hashed = F.sha2(F.concat("_outer", inside), 256)
    return (
        notes.crossJoin(F.broadcast(pads)).withColumn("text_hash", hashed).drop("_inner", "_outer")
    )


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What a source holds. `rows_read` = `refused` + `withdrawn` + `good`.

    `files` are those that Spark read, as it found them. `doubtful` holds the paths of files with
    readable rows of which none has an id, or none has a text. `partitions` counts the partitions
    that had rows.
    """

    rows_read: int
    refused: int
    withdrawn: int
    good: int
    details_lost: int
    files: tuple[SourceFile, ...]
    doubtful: tuple[str, ...]
    partitions: int


def count_rows(judged: DataFrame) -> RowCounts:
    """Counts judged rows, file by file, in one scan."""
    good = F.col("rule").isNull() & ~F.col("withdrawn")
    readable = F.col("corrupt").isNull()
    by_file = (
        judged.withColumn("_partition", F.spark_partition_id())
        .groupBy(FILE)
        .agg(
            F.count(F.lit(1)).alias("rows_read"),
            F.count_if(F.col("rule").isNotNull()).alias("refused"),
            F.count_if(F.col("rule").isNull() & F.col("withdrawn")).alias("withdrawn"),
            F.count_if(good).alias("good"),
            F.count_if(good & F.col("details_lost")).alias("details_lost"),
            F.count_if(readable).alias("readable"),
            F.count_if(readable & F.col("note_id").isNotNull()).alias("with_id"),
            F.count_if(readable & F.col("text").isNotNull()).alias("with_text"),
            F.collect_set("_partition").alias("partitions"),
        )
    )
    rows = [row.asDict() for row in by_file.collect()]
    files = {i: file_at(*row[FILE]) for i, row in enumerate(rows) if row[FILE] is not None}
    totals = {name: sum(row[name] for row in rows) for name in _COUNTS}
    return RowCounts(
        **totals,
        files=tuple(files.values()),
        doubtful=tuple(
            file.path
            for i, file in files.items()
            if rows[i]["readable"] and not (rows[i]["with_id"] and rows[i]["with_text"])
        ),
        partitions=len({number for row in rows for number in row["partitions"]}),
    )


def one_row_each(notes: DataFrame) -> tuple[DataFrame, DataFrame | None]:
    """Keeps one row for each id: the row with the latest storetime.

    At the same storetime a valid row wins over a withdrawn one. If these rows have the same text
    and differ in other details, one of them is taken, always the same.

    Args:
        notes: rows that break no rule, with `text_hash` and `withdrawn`.

    Returns:
        the rows that count, and the notes whose latest rows disagree in text or patient: `note_id,
        text_hash` (of one of them), `rule, detail`; None if every id is unique.
    """
    repeated = notes.groupBy("note_id").count().where("count > 1").select("note_id")
    if repeated.isEmpty():
        return notes, None
    again = notes.join(repeated, on="note_id", how="left_semi")
    rank = F.struct("storetime", (~F.col("withdrawn")).alias("stands"))
    latest = again.groupBy("note_id").agg(F.max(rank).alias("_latest"))
    last = again.join(latest, on="note_id", how="inner").where(rank.eqNullSafe(F.col("_latest")))
    row = F.struct(*(F.col(name) for name in notes.columns if name != "note_id"))
    verdict = last.groupBy("note_id").agg(
        F.countDistinct("text_hash").alias("_texts"),
        F.countDistinct("subject_id").alias("_patients"),
        F.min("text_hash").alias("_text_hash"),
        F.max(row).alias("_row"),
    )
    agree = F.col("_row.withdrawn") | ((F.col("_texts") == 1) & (F.col("_patients") <= 1))
    differ = F.when(F.col("_texts") > 1, F.lit("texts")).otherwise(F.lit("patients"))
    conflicts = verdict.where(~agree).select(
        "note_id",
        F.col("_text_hash").alias("text_hash"),
        F.concat(F.lit("conflicting_"), differ).alias("rule"),
        F.concat(F.lit("rows with one id and one storetime have different "), differ).alias(
            "detail"
        ),
    )
    once = notes.join(repeated, on="note_id", how="left_anti")
    return once.unionByName(verdict.where(agree).select("note_id", "_row.*")), conflicts
