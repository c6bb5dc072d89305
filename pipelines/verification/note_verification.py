"""Whether the tables of a root fit the notes that they were made from.

It reads the source once more, as a run does, and compares each note with its rows. Python workers
and SQL look at the texts; only counts and ids come out.
"""

from __future__ import annotations

from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.run.run_input import open_input
from pipelines.schemas import CHECKED_NOTE
from pipelines.source.note_selection import one_row_each
from pipelines.source.note_source import NoteSource
from pipelines.verification.check_views import Tables, latest_ledger_rows
from pipelines.verification.table_checks import Check
from pipelines.verification.table_verification import Finding, run_checks
from udfs.stages.note_checks import check_batches

# Spark's substring walks from the start of the text, once for each entity: with this length and
# 30,000 entities that takes about a minute. In longer notes only Python compares the texts of
# entities.
MOST_SQL_CHARACTERS = 1_000_000

NOTE_CHECKS = (
    Check(
        "notes_not_done",
        "notes",
        "NOT is_known",
        "a note of the source has no ledger row: run the extraction",
    ),
    Check(
        "texts_not_done",
        "notes",
        "other_texts > 0",
        "the ledger has another text for a note: amended since (run the extraction), or the hash "
        "key is another one",
    ),
    Check(
        "entity_texts",
        "notes",
        "wrong_entities > 0 OR sql_mismatches > 0",
        "the offsets of an entity give another text in the note",
    ),
    Check(
        "window_texts",
        "notes",
        "wrong_windows > 0",
        "the offsets of a window give a text with another hash",
    ),
    Check(
        "uncovered_text",
        "notes",
        "uncovered_characters > 0",
        "a note has characters, not white space, that lie in no window",
    ),
    Check(
        "rows_not_refused",
        "refused",
        "NOT is_quarantined",
        "a row of the source that no note can be made of is not in quarantine",
        shown="row_hint",
    ),
)


def verify_notes(
    spark: SparkSession, tables: Tables, source: NoteSource, key: bytes, max_characters: int
) -> list[Finding]:
    """Runs every check of `NOTE_CHECKS`.

    Args:
        spark: the session.
        tables: all tables of the root, by name.
        source: the notes that the tables were made from.
        key: the key of the hashes in the tables; with another key every text seems to be another.
        max_characters: longer notes are refused; as in the runs.

    Raises:
        InputError: the notes cannot be read.
    """
    with open_input(spark, source, key, max_characters) as notes:
        good, conflicts = one_row_each(notes.rows.where("rule IS NULL"))
        good = good.where("NOT withdrawn")
        refused = notes.rows.where("rule IS NOT NULL").select("note_id", "text_hash")
        if conflicts is not None:
            refused = refused.unionByName(conflicts.select("note_id", "text_hash"))
        check = partial(check_batches, key=key)
        rows = notes_with_rows(tables, good).mapInArrow(check, CHECKED_NOTE)
        return run_checks({"notes": rows, "refused": _refused(tables, refused)}, NOTE_CHECKS)


def _refused(tables: Tables, refused: DataFrame) -> DataFrame:
    quarantine = tables["quarantined_notes"].select("row_hint", "text_hash").distinct()
    hinted = refused.select(F.coalesce("note_id", "text_hash").alias("row_hint"), "text_hash")
    return hinted.join(
        quarantine.withColumn("is_quarantined", F.lit(True)), ["row_hint", "text_hash"], "left"
    ).withColumn("is_quarantined", F.coalesce("is_quarantined", F.lit(False)))


def notes_with_rows(tables: Tables, notes: DataFrame) -> DataFrame:
    """Each note with its windows, its entities and the mismatches of these that SQL finds.

    Entities count only if their model's ledger row has the text of the source, and windows only if
    the note's latest ledger row has it. So a text that changed is one finding, not four.
    """
    ledger = tables["processed_notes"]
    hashes = ledger.groupBy("note_id").agg(F.collect_list("text_hash").alias("done"))
    latest = latest_ledger_rows(tables).select("note_id", F.col("text_hash").alias("latest"))
    windows = _listed(tables["note_windows"], ("begin", "end", "window_hash"), "windows")
    models = ledger.select("note_id", "model", "text_hash")
    marks = tables["entities"].join(models, on=["note_id", "model"], how="inner")
    entities = _listed(marks, ("begin", "end", "text", "text_hash"), "entities")
    joined = notes.select("note_id", "text", "text_hash")
    for rows in (hashes, latest, windows, entities):
        joined = joined.join(rows, on="note_id", how="left")
    same_text = F.expr("filter(coalesce(entities, array()), e -> e.text_hash = text_hash)")
    others = F.expr("array_size(filter(done, h -> h <> text_hash))")
    mismatches = F.expr(
        "array_size(filter(entities, e -> NOT e.text <=> "
        "substring(text, e.`begin` + 1, e.`end` - e.`begin`)))"
    )
    is_short = F.length("text") <= MOST_SQL_CHARACTERS
    has_windows = F.col("latest") == F.col("text_hash")
    return joined.withColumns(
        {"text": F.coalesce("text", F.lit("")), "entities": same_text}
    ).select(
        "note_id",
        "text",
        F.when(has_windows, F.expr("coalesce(windows, array())")).alias("windows"),
        F.expr("transform(entities, e -> struct(e.`begin`, e.`end`, e.text))").alias("entities"),
        F.col("done").isNotNull().alias("is_known"),
        F.coalesce(others, F.lit(0)).alias("other_texts"),
        F.when(is_short, mismatches).otherwise(F.lit(0)).alias("sql_mismatches"),
    )


def _listed(rows: DataFrame, names: tuple[str, ...], alias: str) -> DataFrame:
    return rows.groupBy("note_id").agg(F.collect_list(F.struct(*names)).alias(alias))
