"""The rows that came into a Delta table after a version, from its change data feed.

These are the rows that were put in and not taken out again, in whatever order and number. A row
that was only taken out does not count. This module knows neither what the columns mean nor which
version was read last.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.spark.names import quote

_PUT_IN = ("insert", "update_postimage")


def read_changes(
    spark: SparkSession, path: str | None, table: str | None, since: int, until: int
) -> DataFrame:
    """The change data of the versions after `since`, up to `until`.

    Args:
        spark: the session.
        path: the path of the table, or None.
        table: its name in SQL, if it has no path.
        since: a version below `until`.
        until: a version that exists.
    """
    options = {
        "readChangeFeed": "true",
        "startingVersion": str(since + 1),
        "endingVersion": str(until),
    }
    reader = spark.read.format("delta").options(**options)
    return reader.table(str(table)) if path is None else reader.load(path)


def net_rows(changes: DataFrame, names: Collection[str]) -> DataFrame:
    """The rows that the changes put into the table and did not take out again.

    Args:
        changes: change data as Delta gives it, in a batch or a stream's micro-batch.
        names: the columns that matter, in lower case. The others are dropped, so that an update
            of those alone cancels out.
    """
    columns = [quote(name) for name in changes.columns if name.lower() in names]
    is_put_in = reduce(lambda a, b: a | b, (F.col("_change_type") == kind for kind in _PUT_IN))
    put_in = changes.where(is_put_in).select(*columns)
    taken_out = changes.where(~is_put_in).select(*columns)
    return put_in if taken_out.isEmpty() else put_in.exceptAll(taken_out)
