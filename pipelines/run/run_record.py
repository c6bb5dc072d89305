"""What is known of one run: a row of the table `runs`, and the summary that a user reads.

Counts come from the tables themselves, after the last commit, so they cannot claim more than the
tables hold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.spark.concurrency import side_by_side
from pipelines.tables.definitions import ENTITIES, PROCESSED_NOTES, RUNS
from pipelines.tables.existing_tables import find_table
from pipelines.tables.row_writes import append_rows, replace_row, update_rows
from pipelines.tables.table_root import TableRoot


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of `runs`.

    Counts are of this run; the optional ones are None until it ends.

    Attributes:
        notes: the notes that the source holds, each counted once.
        windows: like the counts after it, of the notes that this run worked on.
        withdrawn_notes: rows of the source whose note is withdrawn.
        removed_notes: notes whose rows this run removed from the tables.
        holder: with `heartbeat` the lease (see `run_lease`), while the run is at work.
        model_source: the registered version of the model; None for a plain folder.
        missing_details: the details whose columns the source lacks; for the summary only.
    """

    run_id: str
    start: datetime
    status: str
    input: str
    settings_digest: str
    code_version: str
    model: str
    model_fingerprint: str
    pipeline_fingerprint: str
    rows_read: int
    notes: int
    end: datetime | None = None
    input_version: int | None = None
    model_source: str | None = None
    error: str | None = None
    blank_notes: int | None = None
    quarantined_notes: int = 0
    repeated_rows: int = 0
    withdrawn_notes: int = 0
    removed_notes: int = 0
    notes_with_lost_details: int = 0
    unchanged_notes: int | None = None
    windows: int | None = None
    distinct_windows: int | None = None
    scored_windows: int | None = None
    wordpieces: int | None = None
    scored_wordpieces: int | None = None
    unread_characters: int | None = None
    entities: int | None = None
    seconds: float | None = None
    inference_seconds: float | None = None
    holder: str | None = None
    heartbeat: datetime | None = None
    labels: tuple[tuple[str, int], ...] = ()
    missing_details: tuple[str, ...] = ()

    @property
    def worked_notes(self) -> int:
        """Notes that this run wrote."""
        return self.notes - (self.unchanged_notes or 0)

    @property
    def quarantined_fraction(self) -> float:
        """Refused rows over rows read, 0 to 1."""
        return self.quarantined_notes / self.rows_read if self.rows_read else 0.0


def begin(spark: SparkSession, root: TableRoot, record: RunRecord) -> None:
    """Writes the row of a run that begins; a killed run leaves it at `running`."""
    append_rows(root, RUNS, _row(spark, record))


def beat(spark: SparkSession, root: TableRoot, run_id: str, at: datetime) -> bool:
    """Writes when a run at work was last alive; returns False if its row is gone."""
    row = spark.createDataFrame([(run_id, at)], "run_id string, heartbeat timestamp")
    return update_rows(spark, root, RUNS, row, "run_id") > 0


def finish(spark: SparkSession, root: TableRoot, record: RunRecord) -> None:
    """Replaces the row that a run began with by its final row."""
    replace_row(spark, root, RUNS, _row(spark, record), key="run_id")


def _row(spark: SparkSession, record: RunRecord) -> DataFrame:
    values = asdict(record)
    return spark.createDataFrame([tuple(values[n] for n in RUNS.schema.names)], RUNS.schema)


def last_version(
    spark: SparkSession, root: TableRoot, source: str, pipeline: str, settings: str
) -> int | None:
    """The version of a Delta source that the last run done with these settings read, if any."""
    runs = find_table(spark, root, RUNS)
    if runs is None:
        return None
    same = (
        (F.col("input") == source)
        & (F.col("pipeline_fingerprint") == pipeline)
        & (F.col("settings_digest") == settings)
    )
    done = runs.where(same & (F.col("status") == "done"))
    last = done.orderBy(F.desc("start")).select("input_version").first()
    return None if last is None or last[0] is None else int(last[0])


def completed(spark: SparkSession, root: TableRoot, record: RunRecord, end: datetime) -> RunRecord:
    """The record of a run that has written the ledger: status `done`, with its counts."""

    def of_run(rows: DataFrame) -> DataFrame:
        # Filter by time as well: the ledger's files have statistics of it, so Spark skips most.
        is_own = F.col("processed_at") == F.lit(record.start)
        return rows.where(is_own & (F.col("run_id") == record.run_id))

    ledger = of_run(root.read(spark, PROCESSED_NOTES)).agg(
        F.count_if(F.col("windows") == 0).alias("blank_notes"),
        *(
            F.coalesce(F.sum(name), F.lit(0)).alias(name)
            for name in ("windows", "wordpieces", "unread_characters", "entities")
        ),
    )
    labels = of_run(root.read(spark, ENTITIES)).groupBy("label").count()
    # A small query is mostly planning in one thread.
    (totals,), by_label = side_by_side(ledger.collect, labels.collect)
    return replace(
        record,
        status="done",
        end=end,
        seconds=(end - record.start).total_seconds(),
        distinct_windows=record.distinct_windows or 0,
        labels=tuple(sorted((row["label"], row["count"]) for row in by_label)),
        **totals.asDict(),
    )


def frequent_mentions(
    spark: SparkSession, root: TableRoot, count: int
) -> list[tuple[str, str, int, float]]:
    """The mentions that stand in most notes: entity type, text in lower case, notes, mean score."""
    rows = (
        root.read(spark, ENTITIES)
        .groupBy("entity_type", F.lower("text").alias("mention"))
        .agg(F.countDistinct("note_id").alias("notes"), F.avg("score").alias("mean_score"))
        .orderBy(F.desc("notes"), "mention", "entity_type")
        .limit(count)
    )
    return [tuple(row) for row in rows.collect()]
