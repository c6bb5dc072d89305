"""The Spark session of every job.

Static settings (jars, the Delta extension, memory, encryption) belong to `spark-submit`, to the
environment's `spark-defaults.conf` or to the server of Spark Connect. This module has the settings
that a session can still change, so that a job behaves the same whoever started Spark.
"""

from __future__ import annotations

import importlib
from functools import partial

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from jobs.wiring.ship_to_executors import ship_code
from pipelines.spark.concurrency import in_background

# These are set on every Spark and every cluster, whatever its defaults are.
SESSION_SETTINGS = {
    # ANSI errors quote the value that failed, which may be note text.
    "spark.sql.ansi.enabled": "false",
    # With substitution, `${env:NAME}` in a name or a path would put a variable of the driver's
    # environment, perhaps the hash key, into a statement and so into plans and event logs.
    "spark.sql.variable.substitute": "false",
    "spark.sql.session.timeZone": "UTC",
    # By default a single time before 1900 (a typing error, 0001-01-01 for "unknown") would end the
    # run. CORRECTED reads and writes times unchanged, in the calendar that Spark itself uses.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    # These batches hold whole notes: 400 notes of 1 MB once came as one batch of 400 MB.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
    # Leaves the JVM's stack trace out of Python tracebacks in the driver's log.
    "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "true",
}


def start_session(app_name: str) -> SparkSession:
    """The session of this process, or a new one; of Spark Connect where `SPARK_REMOTE` is set."""
    # pyspark imports pandas, which takes a second or two, when it gets its first rows or functions.
    # Imported in the background while Spark starts, it costs no time.
    in_background(partial(importlib.import_module, "pandas"))
    builder = SparkSession.builder.appName(app_name)
    for key, value in SESSION_SETTINGS.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    if is_remote():
        # Gives Delta's conflicts their own error classes over Spark Connect too, so that our
        # retries recognise them.
        importlib.import_module("delta.connect")
        ship_code(session)
    return session
