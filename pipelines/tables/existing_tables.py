"""The tables that a root already has, and whether this release can read them.

It creates nothing and does not know what the rows mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from pipelines.spark.error_names import error_class
from pipelines.tables.definitions import TABLES, Table
from pipelines.tables.table_root import TableRoot
from udfs.errors import ClinspanError, InputError

# The errors by which Spark and Delta, depending on release and catalog, say that nothing is there.
_NOT_THERE = re.compile(
    r"PATH_NOT_FOUND|(TABLE_OR_VIEW|SCHEMA|CATALOG)_NOT_FOUND"
    r"|DELTA_(TABLE_NOT_FOUND|MISSING_DELTA_TABLE\w*|PATH_DOES_NOT_EXIST|PATH_BASED_ACCESS\w*)"
)


def find_tables(spark: SparkSession, root: TableRoot) -> dict[str, DataFrame]:
    """The tables that a root has, by name.

    Raises:
        InputError: the root has none.
        ClinspanError: a table is there and cannot be read.
    """
    found = {t.name: rows for t in TABLES if (rows := find_table(spark, root, t)) is not None}
    if not found:
        raise InputError(
            f"no tables at {root.describe()}: give the place that --output or --output-schema of "
            "jobs/extract_entities.py named"
        )
    return found


def find_table(spark: SparkSession, root: TableRoot, table: Table) -> DataFrame | None:
    """One table of a root, or None if it is not there.

    Raises:
        ClinspanError: the table is there and cannot be read.
    """
    try:
        rows = root.read(spark, table)
        return rows if rows.columns else None  # Spark Connect looks it up only here
    except Exception as error:
        name = error_class(error)
        if _NOT_THERE.match(name):
            return None
        raise ClinspanError(
            f"the table {table.name} in {root.describe()} cannot be read ({name}): check its "
            "files and the rights to them"
        ) from None


def other_columns(table: Table, rows: DataFrame) -> list[str]:
    """The columns that are missing, unknown to this release, or of another type than in it."""
    here = {f.name: f.dataType.simpleString() for f in rows.schema}
    wanted = {f.name: f.dataType.simpleString() for f in table.schema}
    return sorted({name for name, _ in here.items() ^ wanted.items()})


def refuse_other_columns(tables: Mapping[str, DataFrame]) -> None:
    """Refuses tables with the columns of another release: they must be upgraded before use.

    Raises:
        InputError: a table has other columns than this release writes.
    """
    for table in TABLES:
        if table.name in tables and (names := other_columns(table, tables[table.name])):
            raise InputError(
                f"the table {table.name} has other columns than this release writes "
                f"({', '.join(names)}): run jobs/maintain_tables.py, which upgrades tables of an "
                "older release"
            )
