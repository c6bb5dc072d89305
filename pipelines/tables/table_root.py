"""Where the tables of one root are, and how they are created.

A root is a path (`ROOT/entities`, …) or a schema (`catalog.schema.entities`, …). This module
owns where the tables are and their creation; it does not know what the rows mean.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from pipelines.spark.concurrency import side_by_side
from pipelines.spark.error_names import error_class
from pipelines.spark.names import local_path, quote
from pipelines.spark.retries import with_retries
from pipelines.tables.definitions import TABLES, Table
from udfs.errors import ClinspanError, InputError

# Another first run may be creating the table at this moment: its folder is there before its log.
CREATION_TRIES = 5
_HALF_MADE = ("DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION", "DELTA_TABLE_NOT_FOUND")
# The history's operation for the first version of a table if that version has no rows.
_CREATION = "CREATE TABLE"


@dataclass(frozen=True, slots=True)
class TableRoot:
    """The place of all tables: exactly one of `path` and `schema` is set."""

    path: str | None = None
    schema: str | None = None

    @classmethod
    def at(cls, path: str | None, schema: str | None) -> TableRoot:
        """The root at a path (made absolute where it is local) or in a schema."""
        if path is not None:
            path = str(local_path(path) or path).rstrip("/")
        return cls(path=path, schema=schema)

    def sql_name(self, table: Table) -> str:
        """The table's name in a query."""
        if self.schema is not None:
            return ".".join(quote(part) for part in (*self.schema.split("."), table.name))
        return f"delta.{quote(f'{self.path}/{table.name}')}"

    def read(self, spark: SparkSession, table: Table) -> DataFrame:
        """The table as it is now."""
        return spark.table(self.sql_name(table))

    def snapshot(self, spark: SparkSession, table: Table) -> DataFrame:
        """The table pinned at its latest version: later writes do not change this DataFrame.

        Raises:
            ClinspanError: the table has no history.
        """
        name = self.sql_name(table)
        history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1")
        latest = history.select("version", "operation").first()
        if latest is None:
            raise ClinspanError(f"the table {table.name} in {self.describe()} has no history")
        # A table that was just created is empty: skip listing its files and joining with it.
        is_new = latest["version"] == 0 and latest["operation"] == _CREATION
        only = " WHERE false" if is_new else ""
        return spark.sql(f"SELECT * FROM {name} VERSION AS OF {latest['version']}{only}")

    def describe(self) -> str:
        """The root as a user would write it."""
        return self.schema or str(self.path)


def create_tables(spark: SparkSession, root: TableRoot) -> None:
    """Creates what is missing and checks what is there.

    Raises:
        InputError: the place cannot hold tables, or a table there has other columns.
    """
    if root.schema is not None:
        create_schema(spark, root.schema, "--output-schema")
    # Creating a table is mostly planning in one thread.
    side_by_side(*(partial(_create_table, spark, root, table) for table in TABLES))


def _create_table(spark: SparkSession, root: TableRoot, table: Table) -> None:
    for attempt in range(CREATION_TRIES):
        try:
            with_retries(lambda: spark.sql(_creation(root, table)))
            _check_columns(root.read(spark, table).schema, table, root)
            return
        except ClinspanError:
            raise
        except Exception as error:  # a place without write access raises a bare Java error
            name = error_class(error)
            if name in _HALF_MADE and attempt < CREATION_TRIES - 1:
                time.sleep(1 + random.random())
                continue
            raise InputError(
                f"the table {table.name} cannot be created in {root.describe()} ({name}): give "
                "--output an empty or a new place, open to writing"
            ) from None


def create_schema(spark: SparkSession, schema: str, flag: str) -> None:
    """Creates a schema if it is missing; `flag` is the option by which a user names another.

    Raises:
        InputError: the schema cannot be created.
    """
    name = ".".join(quote(part) for part in schema.split("."))
    try:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
    except Exception as error:  # a missing catalog raises a bare Java error
        raise InputError(
            f"the schema {schema} is not there and cannot be made ({error_class(error)}): "
            f"give {flag} one of a catalog that there is"
        ) from None


def table_properties(table: Table) -> dict[str, str]:
    """The Delta properties of a table of ours."""
    # Statistics stand in the log in plain text, which VACUUM does not clean: no text columns.
    return {
        "delta.dataSkippingStatsColumns": ",".join(table.statistics),
        "delta.enableChangeDataFeed": str(table.change_feed).lower(),
    }


def _creation(root: TableRoot, table: Table) -> str:
    columns = ", ".join(
        f"{quote(f.name)} {f.dataType.simpleString()}{'' if f.nullable else ' NOT NULL'}"
        for f in table.schema
    )
    listed = ", ".join(f"'{key}' = '{value}'" for key, value in table_properties(table).items())
    name = root.sql_name(table)
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta TBLPROPERTIES ({listed})"


def _check_columns(found: T.StructType, table: Table, root: TableRoot) -> None:
    here = {f.name: f.dataType.simpleString() for f in found}
    wanted = {f.name: f.dataType.simpleString() for f in table.schema}
    if here != wanted:
        differing = sorted(name for name, _ in here.items() ^ wanted.items())
        raise InputError(
            f"the table {table.name} in {root.describe()} has other columns than this release "
            f"writes ({', '.join(dict.fromkeys(differing))}): jobs/maintain_tables.py upgrades "
            "tables of an older release; else give --output another place"
        )
