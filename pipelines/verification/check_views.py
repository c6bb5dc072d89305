"""The views that the checks look at: each puts side by side what must agree.

A view is one DataFrame of a few columns, never of text; `table_checks` says what is wrong in it.

`note_windows` holds the windows of a note once, whatever models worked on it: those of the run that
wrote the note's latest ledger row. So they are compared only with what belongs to that row. A model
whose ledger row is older may have seen another text, or cut it by the rules of another release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

Tables = Mapping[str, DataFrame]


def _entity_rows(tables: Tables) -> DataFrame:
    return tables["entities"].select(
        "note_id", "begin", "end", F.length("text").alias("characters")
    )


def _entity_ids(tables: Tables) -> DataFrame:
    return (
        tables["entities"]
        .groupBy("entity_id")
        .agg(F.count(F.lit(1)).alias("entity_rows"), F.min("note_id").alias("note_id"))
    )


def _known_runs(tables: Tables) -> DataFrame:
    return (
        tables["runs"]
        .groupBy("run_id")
        .agg(
            F.min("model").alias("run_model"),
            F.min("pipeline_fingerprint").alias("run_pipeline"),
            F.min("model_fingerprint").alias("run_model_fingerprint"),
        )
    )


def _notes(tables: Tables) -> DataFrame:
    """Ledger rows with their run and a summary of the entity rows of the same note and model."""
    values = ("run_id", "pipeline_fingerprint", "characters", "entities")
    ledger = (
        tables["processed_notes"]
        .groupBy("note_id", "model")
        .agg(
            F.count(F.lit(1)).alias("ledger_rows"),
            F.max_by(F.struct(*values), "processed_at").alias("done"),
        )
        .select("note_id", "model", "ledger_rows", "done.*")
    )
    stamp = F.struct("run_id", "pipeline_fingerprint", "model_fingerprint")
    marks = (
        tables["entities"]
        .groupBy("note_id", "model")
        .agg(
            F.count(F.lit(1)).alias("entity_rows"),
            F.max("end").alias("last_end"),
            F.min(stamp).alias("first_stamp"),
            F.max(stamp).alias("last_stamp"),
        )
    )
    with_runs = ledger.join(_known_runs(tables), on="run_id", how="left")
    return with_runs.join(marks, on=["note_id", "model"], how="full_outer")


def latest_ledger_rows(tables: Tables) -> DataFrame:
    """The latest ledger row of each note; its run wrote the note's windows."""
    values = ("model", "run_id", "text_hash", "windows", "characters")
    latest = F.max_by(F.struct(*values), "processed_at").alias("done")
    return tables["processed_notes"].groupBy("note_id").agg(latest).select("note_id", "done.*")


def _windows_of_notes(tables: Tables) -> DataFrame:
    windows = (
        tables["note_windows"]
        .groupBy("note_id")
        .agg(
            F.count(F.lit(1)).alias("window_rows"),
            F.countDistinct("window_index").alias("window_numbers"),
            F.max("end").alias("last_end"),
        )
    )
    ledger = latest_ledger_rows(tables).select("note_id", "windows", "characters")
    return windows.join(ledger, on="note_id", how="full_outer")


def _layout(tables: Tables) -> DataFrame:
    """Windows and entities of a note in text order, each with the last window before it.

    This takes one sort by note; a join of entities and windows by offsets would compare each with
    each.
    """
    models = latest_ledger_rows(tables).select("note_id", "model")
    marks = tables["entities"].join(models, on=["note_id", "model"], how="left_semi")
    both = (
        tables["note_windows"]
        .select("note_id", "begin", "end", "window_index", F.lit(False).alias("is_entity"))
        .unionByName(
            marks.select(
                "note_id",
                "begin",
                "end",
                F.lit(None).cast("int").alias("window_index"),
                F.lit(True).alias("is_entity"),
            )
        )
    )
    before = (
        Window.partitionBy("note_id")
        .orderBy("begin", "is_entity", "end")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    window = F.when(~F.col("is_entity"), F.struct("window_index", "end"))
    return both.withColumn("window", F.last(window, ignorenulls=True).over(before))


def _window_texts(tables: Tables) -> DataFrame:
    """Distinct windows with the predictions of the model that their notes were done with."""
    models = (
        latest_ledger_rows(tables)
        .join(_known_runs(tables), on="run_id", how="inner")
        .select("note_id", F.col("run_model_fingerprint").alias("model_fingerprint"))
    )
    keys = ["window_hash", "model_fingerprint"]
    length = F.col("end") - F.col("begin")
    windows = (
        tables["note_windows"]
        .join(models, on="note_id", how="inner")
        .groupBy(*keys)
        .agg(
            F.min("note_id").alias("note_id"),
            F.min(length).alias("shortest"),
            F.max(length).alias("longest"),
        )
    )
    # Scores of two runs at once may differ in the last digits; offsets and labels may not.
    spans = F.expr("xxhash64(transform(spans, s -> struct(s.`begin`, s.`end`, s.label)))")
    bad = F.expr("exists(spans, s -> s.`begin` < 0 OR s.`end` <= s.`begin`)")
    predictions = (
        tables["predictions"]
        .select(
            *keys,
            spans.alias("spans"),
            bad.alias("bad"),
            F.expr("array_max(spans.`end`) e"),
            F.col("failure").isNotNull().alias("failed"),
        )
        .groupBy(*keys)
        .agg(
            F.count(F.lit(1)).alias("predictions"),
            F.min("spans").alias("first_spans"),
            F.max("spans").alias("last_spans"),
            F.max("bad").alias("has_bad_span"),
            F.max("e").alias("last_span_end"),
            F.max("failed").alias("has_failed"),
        )
    )
    return windows.join(predictions, on=keys, how="full_outer")


def _runs(tables: Tables) -> DataFrame:
    """Runs, each with sums over the ledger rows that it still owns."""
    sums = ("windows", "wordpieces", "unread_characters", "entities")
    owned = (
        tables["processed_notes"]
        .groupBy("run_id")
        .agg(F.count(F.lit(1)).alias("notes"), *(F.sum(name).alias(name) for name in sums))
        .select("run_id", F.struct("notes", *sums).alias("owned"))
    )
    runs = (
        tables["runs"]
        .withColumn("worked_notes", F.col("notes") - F.col("unchanged_notes"))
        .groupBy("run_id")
        .agg(
            F.count(F.lit(1)).alias("run_rows"),
            *(F.max(name).alias(name) for name in ("status", "start", "worked_notes", *sums)),
        )
    )
    last = tables["runs"].agg(F.max("start").alias("last_start"))
    return runs.crossJoin(last).join(owned, on="run_id", how="left")


def _refused_and_done(tables: Tables) -> DataFrame:
    done = tables["processed_notes"].select(
        "note_id", "text_hash", F.col("run_id").alias("done_by")
    )
    return (
        tables["quarantined_notes"]
        .select("note_id", "text_hash", "run_id")
        .join(done, on=["note_id", "text_hash"], how="inner")
    )


VIEWS: dict[str, Callable[[Tables], DataFrame]] = {
    "entity_rows": _entity_rows,
    "entity_ids": _entity_ids,
    "notes": _notes,
    "windows_of_notes": _windows_of_notes,
    "layout": _layout,
    "window_texts": _window_texts,
    "runs": _runs,
    "refused_and_done": _refused_and_done,
}
