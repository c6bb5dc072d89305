"""Where an import writes: a Delta table of notes and, beside it, one of the rows it refused.

Owns their names, whether they may be written, the order of rows in files, and the one commit that
makes a table. It does not know where rows come from.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.spark.error_names import error_class
from pipelines.spark.names import local_path, name_parts, quote
from udfs.errors import ClinspanError, InputError

REJECTED = "_rejected"
# Delta refuses a column whose name holds one of these.
_NOT_IN_NAMES = " ,;{}()\n\t="


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """The place of both tables: exactly one of `path` and `table` is set."""

    path: str | None = None
    table: tuple[str, ...] = ()

    @classmethod
    def at(cls, path: str | None, table: str | None) -> ImportTarget:
        """A place that a user wrote; a local path becomes absolute.

        Raises:
            InputError: the name cannot be a table's.
        """
        if path is not None:
            return cls(path=str(local_path(path) or path).rstrip("/"))
        return cls(table=name_parts(str(table)))

    def sql_name(self, suffix: str = "") -> str:
        """A table's name in a query."""
        if self.path is not None:
            return f"delta.{quote(self.path + suffix)}"
        return ".".join(map(quote, (*self.table[:-1], self.table[-1] + suffix)))

    def folder(self, suffix: str = "") -> Path | None:
        """The table's folder on this machine, or None."""
        return None if self.path is None else local_path(self.path + suffix)

    def describe(self, suffix: str = "") -> str:
        """A table as a user would write it."""
        return (self.path or ".".join(self.table)) + suffix


@dataclass(frozen=True, slots=True)
class TableShape:
    """The columns of a table with their types, in order.

    `statistics` are the columns whose minimum and maximum may stand in the log: none with text.
    `clusters` are those of them by which OPTIMIZE keeps rows together (liquid clustering).
    """

    columns: tuple[tuple[str, str], ...]
    statistics: tuple[str, ...]
    clusters: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name for name, _ in self.columns)

    @property
    def listed_statistics(self) -> str:
        """The value of `delta.dataSkippingStatsColumns`."""
        return ",".join(n if n.isidentifier() else quote(n) for n in self.statistics)


REJECTED_SHAPE = TableShape(
    columns=(
        ("file", "string"),
        ("row", "bigint"),
        ("line", "bigint"),
        ("reason", "string"),
        ("detail", "string"),
    ),
    statistics=("row", "reason"),
)


def refuse_target(
    spark: SparkSession, target: ImportTarget, shape: TableShape, overwrite: bool
) -> None:
    """Refuses a target that would be replaced by accident or cannot hold the table.

    Raises:
        InputError: a table is there and must not be replaced, or has another shape; its schema is
            missing; the folder holds other files, or no table can be made in it; or a column has a
            name that Delta forbids.
    """
    for name, _ in shape.columns:
        if any(one in name for one in _NOT_IN_NAMES):
            raise InputError(f"the column {name!r} has a name that Delta forbids: rename it")
    schema = ".".join(map(quote, target.table[:-1]))
    if schema and not spark.catalog.databaseExists(schema):
        raise InputError(f"there is no schema for {target.describe()}: create it, or name another")
    if _is_there(spark, target, "") and not overwrite:
        raise InputError(
            f"{target.describe()} is there already: --overwrite replaces it, in one commit; or "
            "give another place"
        )
    for suffix, wanted in (("", shape), (REJECTED, REJECTED_SHAPE)):
        if _is_there(spark, target, suffix) and not _has_shape(spark, target, suffix, wanted):
            raise InputError(
                f"{target.describe(suffix)} is there and not what an import of these files "
                "writes: drop it, or give another place"
            )


def _has_shape(spark: SparkSession, target: ImportTarget, suffix: str, shape: TableShape) -> bool:
    name = target.sql_name(suffix)
    properties = spark.sql(f"DESCRIBE DETAIL {name}").select("properties").first()
    statistics = properties and properties[0].get("delta.dataSkippingStatsColumns")
    # With other columns for statistics, or none named, a rewrite would put texts into the log.
    same_statistics = statistics == shape.listed_statistics
    return same_statistics and tuple(spark.table(name).dtypes) == shape.columns


def _is_there(spark: SparkSession, target: ImportTarget, suffix: str) -> bool:
    folder = target.folder(suffix)
    if folder is not None:
        return _is_table(folder, target.describe(suffix))
    try:
        return bool(spark.table(target.sql_name(suffix)).columns)
    except Exception:  # if the table is there after all, CREATE TABLE refuses to replace it
        return False


def _is_table(folder: Path, name: str) -> bool:
    if (folder / "_delta_log").is_dir():
        return True
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{name} cannot be made in {nearest}: give a folder open to writing")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{name} holds files and is no Delta table: an import that was killed leaves such. "
            "Remove them, or give another place"
        )
    return False


def write_table(
    spark: SparkSession, rows: DataFrame, target: ImportTarget, shape: TableShape, suffix: str = ""
) -> None:
    """Creates a table or replaces all rows of one, in one commit.

    Args:
        spark: the session.
        rows: the new rows, with the columns of the shape.
        target: where the table lies; an existing one has this shape (see `refuse_target`).
        shape: its columns, statistics and clustering.
        suffix: which of the two tables: none for the notes, `REJECTED` for the refused rows.

    Raises:
        ClinspanError: the write failed; the old rows or the new ones are there, never a part.
    """
    name = target.sql_name(suffix)
    by = f"CLUSTER BY ({', '.join(map(quote, shape.clusters))})" if shape.clusters else ""
    was_there = _is_there(spark, target, suffix)
    # CREATE OR REPLACE … AS SELECT fails on Spark 3.5.9 with Delta 3.3.2: "no truncate".
    verb = (
        f"INSERT OVERWRITE {name}"
        if was_there
        else f"CREATE TABLE {name} USING delta {by} "
        f"TBLPROPERTIES ('delta.dataSkippingStatsColumns' = '{shape.listed_statistics}') AS"
    )
    with _view(spark, rows) as view, _leave_nothing(target.folder(suffix)):
        try:
            spark.sql(f"{verb} SELECT * FROM {view}")
            if was_there and by:
                spark.sql(f"ALTER TABLE {name} {by}")  # an overwrite in Delta 3.3.2 drops it
        except Exception as error:  # its message may quote a note
            raise ClinspanError(
                f"{target.describe(suffix)} could not be written ({error_class(error)}). The old "
                "rows or the new ones are there, never a part. Is there room on the disk, and may "
                "this user write there?"
            ) from None


@contextmanager
def _view(spark: SparkSession, rows: DataFrame) -> Iterator[str]:
    name = f"import_{uuid4().hex}"
    rows.createOrReplaceTempView(name)
    try:
        yield name
    finally:
        spark.catalog.dropTempView(name)


@contextmanager
def _leave_nothing(folder: Path | None) -> Iterator[None]:
    """If a write fails, removes files that are in no table: they hold notes that nobody owns."""
    was_there = folder is None or folder.exists()
    try:
        yield
    except BaseException:
        if folder is not None and not was_there and not any(folder.glob("_delta_log/*.json")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def lay_out(rows: DataFrame, files: int, keys: Sequence[Column]) -> DataFrame:
    """Distributes rows over a number of files so that equal and near keys are in few of them.

    With two keys the files form a grid: ranges of the first key by ranges of the second. Of 64
    files, one patient is in about 8, and one stretch of time in about 8. If rows were sorted by one
    key alone, each value of the other would be in all files.
    """
    if len(keys) == 1:
        return rows.repartitionByRange(files, keys[0]).sortWithinPartitions(keys[0])
    first, second = keys
    columns = round(math.sqrt(files))
    shares = [place / columns for place in range(1, columns)]
    bounds = rows.agg(F.percentile_approx(first, shares)).first() if shares else None
    column = F.lit(0)
    for bound in (bounds[0] if bounds else None) or ():
        column = column + F.coalesce((first > bound).cast("int"), F.lit(0))
    return rows.repartitionByRange(files, column, second).sortWithinPartitions(first, second)
