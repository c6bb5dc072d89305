"""What a day costs where much is stored: the main job over few notes, beside many predictions.

    make stored PREDICTIONS=10000000

The first day of invented notes makes the tables. Rows of a past of a hundred runs are then added,
as so many more such notes would have left. The second day has as many notes as the first, 1 % of
that past. What it takes as a whole is compared with what the past took at least: the seconds in
which the model scored the first day's windows, for as many windows as are stored. Prints and
writes `stored.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from jobs.wiring.start_session import start_session
from pipelines.tables.definitions import (
    ENTITIES,
    NOTE_WINDOWS,
    PREDICTIONS,
    PROCESSED_NOTES,
    RUNS,
    Table,
)
from pipelines.tables.table_root import TableRoot
from tests.soak.run_soak import REPOSITORY, Soak
from udfs.benchmark.invented_notes import LINES

# Half of the windows are copies: each prediction stands in two places.
PLACES = 2
PAST_RUNS = 100


def store_a_past(spark: SparkSession, root: TableRoot, predictions: int) -> None:
    """Adds rows as if so many distinct windows of earlier notes had been scored."""
    done = root.read(spark, PROCESSED_NOTES).first()
    scored = root.read(spark, PREDICTIONS).first()
    assert done and scored
    span = F.struct(
        F.lit(3).alias("begin"),
        F.lit(12).alias("end"),
        F.lit("Chemical").alias("label"),
        F.lit(0.9).cast("float").alias("score"),
    )
    number = F.col("id")
    add_rows(
        root,
        PREDICTIONS,
        spark.range(0, predictions, 1, 32),
        window_hash=_hash(number),
        model_fingerprint=F.lit(scored["model_fingerprint"]),
        spans=F.array(span),
        wordpieces=F.lit(20),
        unread_characters=F.lit(0),
    )
    add_rows(
        root,
        NOTE_WINDOWS,
        spark.range(0, PLACES * predictions, 1, 32),
        note_id=_note_id(F.floor(number / LINES)),
        window_index=number % LINES,
        begin=number % LINES * 60,
        end=number % LINES * 60 + 50,
        window_hash=_hash(F.floor(number / PLACES)),
    )
    notes = PLACES * predictions // LINES
    past = {
        "run_id": F.concat(F.lit("past-"), (number * PAST_RUNS / notes).cast("int").cast("string")),
        "processed_at": F.lit(done["processed_at"]) - F.expr("INTERVAL 1 DAY"),
    }
    like = {name: F.lit(done[name]) for name in PROCESSED_NOTES.schema.names}
    like |= past | {"note_id": _note_id(number)}
    add_rows(root, PROCESSED_NOTES, spark.range(0, notes, 1, 32), **like)
    mention = root.read(spark, ENTITIES).first()
    assert mention
    like = {name: F.lit(mention[name]) for name in ENTITIES.schema.names}
    like |= past | {"note_id": _note_id(F.floor(number / LINES)), "entity_id": _hash(number)}
    add_rows(root, ENTITIES, spark.range(0, predictions, 1, 32), **like)


def _hash(number: Column) -> Column:
    return F.sha2(number.cast("string"), 256)


def _note_id(number: Column) -> Column:
    return F.format_string("past-%09d", number.cast("long"))


def add_rows(root: TableRoot, table: Table, rows, **columns: Column) -> None:
    """Appends rows to a table; a column that is not given is null."""
    named = (
        columns.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name)
        for field in table.schema
    )
    rows.select(*named).write.format("delta").mode("append").save(f"{root.path}/{table.name}")


def main() -> int:
    parser = argparse.ArgumentParser(description="What a day costs beside many predictions.")
    parser.add_argument("--predictions", type=int, default=10_000_000)
    parser.add_argument("--model", type=Path, help="a model package; else one of a single layer")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "stored")
    options = parser.parse_args()
    soak = Soak(options.folder, options.model, kill_seconds=0, seed=0)
    day_notes = PLACES * options.predictions // LINES // 100
    soak.make_notes(2 * day_notes, days=2, copied=0.5)
    root = TableRoot.at(str(soak.root), None)
    first = soak.extract(0)
    spark = start_session("clinspan-stored")
    store_a_past(spark, root, options.predictions)
    spark.stop()
    second = soak.extract(1)
    runs = start_session("clinspan-stored").table(root.sql_name(RUNS)).orderBy("start")
    records = runs.select("scored_windows", "inference_seconds").collect()
    scored = [row["scored_windows"] for row in records]
    past = records[0]["inference_seconds"] * options.predictions / scored[0]
    report = {
        "predictions": options.predictions,
        "notes_a_day": day_notes,
        "scored_windows": scored,
        "first_day_seconds": first.seconds,
        "second_day_seconds": second.seconds,
        "inference_seconds": [row["inference_seconds"] for row in records],
        "past_seconds": past,
        "second_day_share_of_past": second.seconds / past,
    }
    (soak.folder / "stored.json").write_text(json.dumps(report, indent=2))
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
