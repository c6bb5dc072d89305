"""A client of Spark Connect: two writers replace notes of one table, and the slower one loses.

Prints, as JSON, how often a write was tried again and whose rows are there in the end.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from jobs.wiring.start_session import start_session
from pipelines.spark import retries
from pipelines.tables import table_root
from pipelines.tables.definitions import NOTE_WINDOWS
from pipelines.tables.row_writes import replace_notes

SECONDS = 8.0


def slowly(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    time.sleep(SECONDS)
    yield from batches


def window(spark: SparkSession, note_id: str) -> DataFrame:
    return spark.createDataFrame([(note_id, 0, 0, 5, "hash")], NOTE_WINDOWS.schema)


def replace(spark: SparkSession, root: table_root.TableRoot, rows: DataFrame, name: str) -> None:
    ids = spark.createDataFrame([(name,)], "note_id string")
    replace_notes(spark, root, NOTE_WINDOWS, rows, ids)


if __name__ == "__main__":
    spark = start_session("probe")
    root = table_root.TableRoot.at(sys.argv[1], None)
    table_root.create_tables(spark, root)
    pauses: list[float] = []
    retries.time = SimpleNamespace(sleep=pauses.append)
    slow = window(spark, "slow").mapInArrow(slowly, NOTE_WINDOWS.schema)
    writer = threading.Thread(target=replace, args=(spark, root, slow, "slow"))
    writer.start()
    time.sleep(SECONDS / 2)
    replace(spark, root, window(spark, "fast"), "fast")
    writer.join()
    notes = sorted(row.note_id for row in root.read(spark, NOTE_WINDOWS).collect())
    print(json.dumps({"tries again": len(pauses), "notes": notes}))
