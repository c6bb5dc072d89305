"""How many tasks a session runs at a time."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Enough rows that each of Spark's default partitions has at least one.
SLOT_ROWS = 10_000


def is_local(spark: SparkSession) -> bool:
    """Whether the executors are on the machine of Spark's driver."""
    return str(spark.conf.get("spark.master", "")).startswith("local")


def task_slots(spark: SparkSession) -> int:
    """How many tasks run at a time: Spark's default partitions, told without the SparkContext."""
    partitions = spark.range(SLOT_ROWS).select(F.spark_partition_id().alias("p")).distinct()
    return max(1, partitions.count())
