"""Upkeep of the tables of a root: few and ordered files, no predictions that nobody needs.

Owns by which column each table is clustered, and which predictions may be removed. It does not know
what a run does, only that none may be at work meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from pipelines.spark.names import quote
from pipelines.spark.retries import with_retries
from pipelines.tables.definitions import PREDICTIONS, TABLES, Table
from pipelines.tables.existing_tables import find_tables, refuse_other_columns
from pipelines.tables.row_writes import delete_rows
from pipelines.tables.table_root import TableRoot
from pipelines.upkeep.table_history import vacuum
from udfs.errors import InputError

# The columns by which MERGE and lookups find rows. Tables that are not named here stay small.
CLUSTERS = {
    "entities": "note_id",
    "processed_notes": "note_id",
    "note_windows": "note_id",
    "predictions": "window_hash",
}


@dataclass(frozen=True, slots=True)
class TableSize:
    """Files and bytes of the latest version of a table."""

    table: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Retention:
    """Which predictions to remove. They hold no text; a text that comes back is scored again.

    `unused`: those of windows that no note has, for example of a text before its amendment.
    `other_models`: those of models with which no row of the ledger was made.
    """

    unused: bool = False
    other_models: bool = False


def drop_predictions(spark: SparkSession, root: TableRoot, retention: Retention) -> int:
    """Removes predictions that no note needs; returns how many rows.

    Raises:
        InputError: a table is missing, or the latest run did not end: what it scored belongs to no
            note yet.
    """
    tables = find_tables(spark, root)
    refuse_other_columns(tables)
    if missing := [t.name for t in TABLES if t.name not in tables]:
        raise InputError(f"without {', '.join(missing)} nobody can tell which predictions are used")
    _refuse_unfinished(tables)
    predictions = tables["predictions"]
    chosen = []
    if retention.unused:
        used = tables["note_windows"].select("window_hash")
        # A window on which the model failed stands in no note, but must remain known.
        scored = predictions.where("failure IS NULL")
        chosen.append(scored.join(used, on="window_hash", how="left_anti"))
    if retention.other_models:
        owners = tables["processed_notes"].select("run_id")
        models = tables["runs"].join(owners, on="run_id", how="left_semi")
        used = models.select("model_fingerprint")
        chosen.append(predictions.join(used, on="model_fingerprint", how="left_anti"))
    if not chosen:
        return 0
    keys = [rows.select("window_hash", "model_fingerprint") for rows in chosen]
    doomed = reduce(DataFrame.unionAll, keys).distinct()
    count = predictions.join(doomed, on=doomed.columns, how="left_semi").count()
    if count:
        delete_rows(spark, root, PREDICTIONS, doomed)
    return count


def _refuse_unfinished(tables: Mapping[str, DataFrame]) -> None:
    # Rows of upkeep jobs, this one among them, have no model.
    runs = tables["runs"].where("model_fingerprint <> ''")
    latest = runs.orderBy(F.desc("start")).select("run_id", "status").first()
    if latest is not None and latest["status"] != "done":
        raise InputError(
            f"the latest run, {latest['run_id']}, is {latest['status']}: what it scored belongs to "
            "no note yet and would be lost. Let a run come to its end, then drop predictions"
        )


def optimize_tables(spark: SparkSession, root: TableRoot) -> list[tuple[TableSize, TableSize]]:
    """Merges small files and clusters rows by `CLUSTERS`; returns sizes before and after.

    It uses liquid clustering, which, unlike ZORDER, leaves alone what is in order already.
    """
    tables, sizes = find_tables(spark, root), []
    for table in TABLES:
        if table.name in tables:
            name = root.sql_name(table)
            before = _detail(spark, name)
            cluster = CLUSTERS.get(table.name)
            if cluster is not None and list(before["clusteringColumns"] or ()) != [cluster]:
                clustering = f"ALTER TABLE {name} CLUSTER BY ({quote(cluster)})"
                with_retries(lambda s=clustering: spark.sql(s))  # type: ignore[misc]
            with_retries(lambda n=name: spark.sql(f"OPTIMIZE {n}"))  # type: ignore[misc]
            after = _detail(spark, name)
            sizes.append((_size(table, before), _size(table, after)))
    return sizes


def _detail(spark: SparkSession, name: str) -> Row:
    detail = spark.sql(f"DESCRIBE DETAIL {name}")
    return detail.select("numFiles", "sizeInBytes", "clusteringColumns").collect()[0]


def _size(table: Table, detail: Row) -> TableSize:
    return TableSize(table.name, detail["numFiles"], detail["sizeInBytes"])


def vacuum_tables(spark: SparkSession, root: TableRoot, hours: int) -> None:
    """Removes the files of all tables that no version of the last `hours` needs."""
    tables = find_tables(spark, root)
    for table in TABLES:
        if table.name in tables:
            vacuum(spark, root, table, hours)
