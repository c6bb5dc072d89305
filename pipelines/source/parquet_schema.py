"""One schema for the Parquet files of a source, each of which may have columns of its own.

By default Spark takes the columns of one file for those of all: further columns of other files are
lost, columns that they lack are null, and another type breaks the scan. This module does not know
what columns mean.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from urllib.parse import unquote

from pyspark.sql import DataFrame, DataFrameReader
from pyspark.sql import types as T

from pipelines.source.source_files import escape_pattern
from pipelines.spark.error_names import error_class
from udfs.errors import InputError

Reader = Callable[[], DataFrameReader]


def load_parquet(reader: Reader, path: str, wanted: Collection[str]) -> DataFrame:
    """All columns of all files; a file that lacks one has nulls there.

    Args:
        reader: makes a reader with its options set.
        path: the path as Spark's readers take it.
        wanted: the columns that are needed, in lower case. If files do not agree on the type of
            another column, only the wanted ones are read.

    Raises:
        InputError: files do not agree on the type of a wanted column.
    """
    try:
        # To merge, Spark reads the footers of all files, in tasks.
        return reader().option("mergeSchema", "true").parquet(path)
    except Exception as error:
        if error_class(error) != "CANNOT_MERGE_SCHEMAS":
            raise
    return reader().schema(_agreed_columns(reader, path, wanted)).parquet(path)


def _agreed_columns(reader: Reader, path: str, wanted: Collection[str]) -> T.StructType:
    """The wanted columns; reads file after file (0.1 s each), to name one that disagrees."""
    agreed: dict[str, tuple[T.StructField, str]] = {}
    for uri in sorted(reader().parquet(path).inputFiles()):
        file = unquote(uri)
        for column in reader().parquet(escape_pattern(file)).schema:
            name = column.name.lower()
            if name not in wanted:
                continue
            first, first_file = agreed.setdefault(name, (column, file))
            if first.dataType != column.dataType:
                raise InputError(
                    f"the Parquet files do not agree on the type of the column {column.name!r}: "
                    f"{first.dataType.simpleString()} in {_name(first_file)}, "
                    f"{column.dataType.simpleString()} in {_name(file)}. Write it with one type, "
                    "or read the files of each type in a run of their own, into the same output"
                )
    return T.StructType([column for column, _ in agreed.values()])


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
