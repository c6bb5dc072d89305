"""CSV files as a source of notes: string columns named by the header, texts exactly as they stand.

Spark only starts the tasks, one for each file; `udfs.reading.csv_records` reads the file. This
module does not know which column is which. Files must lie on a disk that the driver and every
worker see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.source.note_formats import format_of_name, visible_files
from pipelines.spark.names import local_path
from pipelines.spark.slots import task_slots
from udfs.errors import InputError
from udfs.reading.csv_records import FATAL, csv_batches, read_header
from udfs.reading.source_records import field_name

# Bytes of the files on disk for each partition of their records; gzip packs notes to about a third.
PARTITION_BYTES = 16_000_000


def find_csv_files(path: str) -> tuple[Path, ...]:
    """The CSV file at a path, or all CSV files of a folder.

    Raises:
        InputError: the path is not on a disk that is mounted here, or no CSV file is there.
    """
    place = local_path(path)
    if place is None:
        raise InputError(
            f"{path} cannot be read as CSV: a CSV file must lie on a disk that the driver and the "
            "workers see; copy it there"
        )
    if place.is_file():
        return (place,)
    if not place.exists():
        raise InputError(f"no notes at {path}: nothing is there; check --notes")
    if not (found := csv_files_in(place)):
        raise InputError(f"{path} holds no files with .csv in their names; check --notes")
    return found


def csv_files_in(folder: Path) -> tuple[Path, ...]:
    """The files below a folder whose names say CSV, without hidden ones, which Spark skips too."""
    names = sorted(f for f in visible_files(folder) if format_of_name(f.name) == "csv")
    return tuple(folder / name for name in names)


def common_header(files: Sequence[Path]) -> tuple[str, ...]:
    """The header that all files share, as the first one spells it.

    Raises:
        InputError: the headers differ, or a file has none.
    """
    first, *others = [read_header(file) for file in files]
    for file, header in zip(files[1:], others, strict=True):
        if [name.lower() for name in header] != [name.lower() for name in first]:
            raise InputError(
                f"{files[0].name} and {file.name} have different columns: "
                "read one kind of files at a time"
            )
    return first


def record_type(width: int) -> T.StructType:
    """The schema `udfs.reading.source_records.record_schema` as a Spark struct."""
    string, long = T.StringType(), T.LongType()
    place = [
        T.StructField("file", string, nullable=False),
        T.StructField("row", long, nullable=False),
        T.StructField("line", long),
        T.StructField("size", long, nullable=False),
        T.StructField("reason", string),
        T.StructField("detail", string),
    ]
    return T.StructType(place + [T.StructField(field_name(i), string) for i in range(width)])


def read_records(spark: SparkSession, files: Sequence[Path], width: int) -> DataFrame:
    """Every record of some CSV files, good or refused; one partition for each file."""
    paths = tuple(map(str, files))

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return csv_batches(batches, paths, width)

    places = spark.range(0, len(files), 1, len(files))
    return places.mapInArrow(read, record_type(width))


def read_csv(spark: SparkSession, path: str, corrupt: str, whole: bool) -> DataFrame:
    """Reads CSV files: the columns of their header and, last, what is wrong with a record.

    Args:
        spark: the session.
        path: a file or a folder.
        corrupt: the name of the last column: null for a good record, else reason and place,
            never text, and all other columns are null.
        whole: whether all rows will be used. If so, the files are read once beforehand, so that a
            broken file is refused before anything is written. The records are also spread over
            partitions, because one file gives one task.

    Raises:
        InputError: a file has no header, or headers differ, or (`whole`) a file is broken.
    """
    files = find_csv_files(path)
    header = common_header(files)
    if corrupt in (name.lower() for name in header):
        raise InputError(f"{path} has a column {corrupt}: rename it")
    records = read_records(spark, files, len(header))
    if whole:
        refuse_broken(records)
        size = sum(file.stat().st_size for file in files)
        partitions = max(task_slots(spark), -(-size // PARTITION_BYTES))
        records = records.repartition(partitions, "file", "row")
    fault = F.format_string("%s, line %d of %s: %s", "reason", "line", "file", "detail")
    fields = [F.col(field_name(i)).alias(name) for i, name in enumerate(header)]
    return records.select(*fields, F.when(F.col("reason").isNotNull(), fault).alias(corrupt))


def refuse_broken(records: DataFrame) -> None:
    """Reads all records and refuses a file whose rest cannot be read.

    Raises:
        InputError: a quote is not closed or not doubled, or a file is cut off.
    """
    broken = records.where(F.col("reason").isin(*FATAL)).select("file", "row", "line", "detail")
    if found := broken.first():
        raise InputError(
            broken_message(found["file"], found["row"], found["line"], found["detail"])
        )


def broken_message(file: str, row: int, line: int, detail: str) -> str:
    """Says from where a file cannot be read any further, why, and how to mend it."""
    return (
        f"{file} cannot be read from row {row} on, which begins in line {line}: {detail}. Texts "
        'with commas, quotes or several lines stand in "…", and a quote in them is written ""'
    )
