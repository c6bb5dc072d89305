"""What a table keeps of removed rows (old files, change data, its log), and how to remove that.

Owns VACUUM and the clean-up of the log; it does not know which rows were removed or why.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from pyspark.sql import SparkSession

from pipelines.spark.names import local_path
from pipelines.spark.retries import with_retries
from pipelines.tables.definitions import Table
from pipelines.tables.table_root import TableRoot

# Delta's own rule: below this, a run or a reader that is at work may lose files it still needs.
SAFE_HOURS = 168
# Delta lists a table's folders with 10,000 tasks by default; our tables have two folders. Over four
# files, a dry run and a VACUUM took 329 s on two cores; with 8 tasks they took 10 s.
_LISTING_TASKS = {"spark.sql.sources.parallelPartitionDiscovery.parallelism": "2"}
_UNSAFE = {"spark.databricks.delta.retentionDurationCheck.enabled": "false"}
# A commit under these properties writes a checkpoint and removes the log entries that it covers.
# Delta 4 requires that the log is kept at least as long as old files.
_FORGETTING = {
    "delta.logRetentionDuration": "interval 0 seconds",
    "delta.deletedFileRetentionDuration": "interval 0 seconds",
    "delta.checkpointInterval": "1",
}
_LOG_ENTRY = re.compile(r"\.?(\d{20})\..+")
_DAY = 86_400.0


def vacuum(spark: SparkSession, root: TableRoot, table: Table, hours: int) -> None:
    """Removes the files that no version of the last `hours` needs, change data among them.

    Below `SAFE_HOURS` nothing else may read or write the root meanwhile.
    """
    unsafe = _UNSAFE if hours < SAFE_HOURS else {}
    with _settings(spark, _LISTING_TASKS | unsafe):
        spark.sql(f"VACUUM {root.sql_name(table)} RETAIN {hours:d} HOURS")


def count_old_files(spark: SparkSession, root: TableRoot, table: Table) -> int:
    """How many files the table's latest version does not need, change data among them."""
    with _settings(spark, _LISTING_TASKS | _UNSAFE):
        found = spark.sql(f"VACUUM {root.sql_name(table)} RETAIN 0 HOURS DRY RUN").collect()
    # The dry run lists empty folders, too.
    return sum(row["path"].endswith(".parquet") for row in found)


def count_log_entries(spark: SparkSession, root: TableRoot, table: Table) -> int:
    """How many versions before the latest the table's log still describes."""
    return spark.sql(f"DESCRIBE HISTORY {root.sql_name(table)}").count() - 1


def forget_history(spark: SparkSession, root: TableRoot, table: Table) -> int:
    """Removes log entries, because their statistics name ids of removed rows.

    Delta removes entries of whole past days only. So on a local disk the entries' times are set
    back first; elsewhere today's entries stay until a repeat tomorrow. Time travel and streams that
    read the table begin anew.

    Returns:
        how many of the earlier entries remain.
    """
    name = root.sql_name(table)
    before = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").collect()[0][0]
    kept = {k: v for k, v in _properties(spark, name).items() if _FORGETTING.get(k, v) != v}
    _set_back(spark, name)
    try:
        _set_properties(spark, name, _FORGETTING)
    finally:
        gone = ", ".join(f"'{key}'" for key in _FORGETTING if key not in kept)
        if gone:
            with_retries(
                lambda: spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES IF EXISTS ({gone})")
            )
        if kept:
            _set_properties(spark, name, kept)
    history = spark.sql(f"DESCRIBE HISTORY {name}")
    return history.where(history["version"] <= before).count()


def _properties(spark: SparkSession, name: str) -> dict[str, str]:
    rows = spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
    return {row["key"]: row["value"] for row in rows if row["key"] in _FORGETTING}


def _set_properties(spark: SparkSession, name: str, values: Mapping[str, str]) -> None:
    listed = ", ".join(f"'{key}' = '{value}'" for key, value in values.items())
    with_retries(lambda: spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({listed})"))


def _set_back(spark: SparkSession, name: str) -> None:
    location = spark.sql(f"DESCRIBE DETAIL {name}").select("location").collect()[0][0]
    folder = local_path(location) if location.startswith("file:") else None
    if folder is None:
        return  # an object store: nobody can set its times
    day_before = time.time() - 2 * _DAY
    for entry in (folder / "_delta_log").iterdir():
        if _LOG_ENTRY.fullmatch(entry.name):
            with suppress(FileNotFoundError):
                os.utime(entry, (day_before, day_before))


@contextmanager
def _settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Changes settings of the session while the context lasts."""
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)
