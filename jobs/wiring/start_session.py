"""The Spark session of every job.

Static settings (jars, the Delta extension, memory, encryption) belong to `spark-submit`, to the
environment's `spark-defaults.conf` or to the server of Spark Connect; here stand those that a
session may still change, so that a job behaves the same whoever started Spark.
"""

from __future__ import annotations

import importlib
from functools import partial

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from jobs.wiring.ship_to_executors import ship_code
from pipelines.spark.concurrency import in_background

# The same on every Spark and every cluster, whatever its defaults are.
SESSION_SETTINGS = {
    # ANSI errors quote the value that failed, which may be note text.
    "spark.sql.ansi.enabled": "false",
    # Else `${env:NAME}` in a name or a path would put the driver's environment into a statement,
    # and so into plans and event logs: the hash key may stand there.
    "spark.sql.variable.substitute": "false",
    "spark.sql.session.timeZone": "UTC",
    # One time before 1900 (a typing error, 0001-01-01 for "unknown") would end the run: times are
    # read and written as they stand, in the calendar that Spark itself uses.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    # Whole notes travel in these batches: 400 notes of 1 MB once came as one batch of 400 MB.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
    # A Python traceback in the driver's log need not repeat the JVM's.
    "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "true",
}


def start_session(app_name: str) -> SparkSession:
    """The session of this process, or a new one: of Spark Connect where `SPARK_REMOTE` is set."""
    # pyspark imports it, for a second or two, with the first rows or functions that it is given:
    # done while Spark starts, nobody waits for it.
    in_background(partial(importlib.import_module, "pandas"))
    builder = SparkSession.builder.appName(app_name)
    for key, value in SESSION_SETTINGS.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    if is_remote():
        # Gives Delta's conflicts their own classes here, too, so that a write is tried again.
        importlib.import_module("delta.connect")
        ship_code(session)
    return session
