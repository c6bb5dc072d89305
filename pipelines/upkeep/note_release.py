"""Takes notes out of quarantine, so that the next run judges them anew.

It does not know the notes or whether they are sound now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.run.quarantine import MODEL_FAILURE
from pipelines.run.run_lease import hold_for_upkeep
from pipelines.tables.definitions import PREDICTIONS, QUARANTINED_NOTES, RUNS
from pipelines.tables.existing_tables import find_tables, refuse_other_columns
from pipelines.tables.row_writes import delete_rows, update_rows
from pipelines.tables.table_root import TableRoot


@dataclass(frozen=True, slots=True)
class Release:
    """How many quarantined rows were removed, by rule, and how many failures of a model."""

    rows: Mapping[str, int]
    failures: int


def release_notes(spark: SparkSession, root: TableRoot, rules: tuple[str, ...]) -> Release:
    """Removes the rows of these rules from quarantine; without rules, all rows.

    The next run must read the whole source, so the release removes from `runs` the versions of the
    source from which it could go on.

    Raises:
        InputError: there are no tables, or they are of another release.
        RootBusyError: a run is at work.
    """
    tables = find_tables(spark, root)
    refuse_other_columns(tables)
    with hold_for_upkeep(spark, root, "release_notes"):
        return _release(spark, root, tables, rules)


def _release(
    spark: SparkSession, root: TableRoot, tables: Mapping[str, DataFrame], rules: tuple[str, ...]
) -> Release:
    rows = tables[QUARANTINED_NOTES.name]
    chosen = rows.where(F.col("rule").isin(*rules)) if rules else rows
    counts = {row["rule"]: row["count"] for row in chosen.groupBy("rule").count().collect()}
    failures = 0
    if not rules or MODEL_FAILURE in rules:
        failed = tables[PREDICTIONS.name].where("failure IS NOT NULL")
        failures = failed.count()
        if failures:
            keys = failed.select("window_hash", "model_fingerprint", "failure")
            delete_rows(spark, root, PREDICTIONS, keys)
    if counts or failures:
        read = tables[RUNS.name].where("input_version IS NOT NULL").select("run_id")
        forgotten = read.withColumn("input_version", F.lit(None).cast("long"))
        update_rows(spark, root, RUNS, forgotten, "run_id")
        # These rows go last, so that a killed release can be repeated.
        delete_rows(spark, root, QUARANTINED_NOTES, chosen.select("rule"))
    return Release(counts, failures)
