"""How many tasks a session runs at a time."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# As many rows, so that each of the partitions that Spark makes by itself has one.
SLOT_ROWS = 10_000


def is_local(spark: SparkSession) -> bool:
    """Whether the executors are on the machine of Spark's driver."""
    return str(spark.conf.get("spark.master", "")).startswith("local")


def task_slots(spark: SparkSession) -> int:
    """How many tasks run at a time, as Spark plans it, without the SparkContext."""
    partitions = spark.range(SLOT_ROWS).select(F.spark_partition_id().alias("p")).distinct()
    return max(1, partitions.count())
