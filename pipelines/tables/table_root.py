"""Where the tables of one root are, and how they are created.

A root is a path (``ROOT/entities``, …) or a schema (``catalog.schema.entities``, …). This module
owns names, quoting and creation; it does not know what the rows mean.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from pipelines.schemas import TABLES, Table
from pipelines.spark.concurrency import side_by_side
from udfs.errors import ClinspanError, InputError

Result = TypeVar("Result")
# A conflict resolves itself when the other writer has committed; five tries span about 30 s.
TRIES = 5
# Another first run may be creating the table at this moment: its folder is there before its log.
CREATION_TRIES = 5
_HALF_MADE = ("DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION", "DELTA_TABLE_NOT_FOUND")
# What the history says of a table's first version, where that has no rows.
_CREATION = "CREATE TABLE"
# Of two characters at least, as in ``dbfs:/``: Spark, too, takes what stands before for a scheme.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_NAME_PART = re.compile(r"`((?:[^`]|``)+)`|(\w+)")
# The name of an error of Spark's that comes inside one of Java's.
_CONDITION = re.compile(r"Exception: \[([A-Z][A-Z0-9_.]+)\]")


# In Python these share no base class, unlike in Scala.
CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)


class RootBusyError(ClinspanError):
    """Another run keeps committing to the same root (exit code 4)."""


def quote(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def name_parts(name: str) -> tuple[str, ...]:
    """``table``, ``schema.table`` or ``catalog.schema.table``, without backticks.

    Raises:
        InputError: it is none of these.
    """
    parts, position = [], 0
    while match := _NAME_PART.match(name, position):
        parts.append(match[2] or match[1].replace("``", "`"))
        position = match.end()
        if position == len(name) and len(parts) <= 3:
            return tuple(parts)
        if name[position : position + 1] != ".":
            break
        position += 1
    raise InputError(
        f"{name} is no name of a table: it must be table, schema.table or catalog.schema.table, "
        "with backticks round a part that holds other than letters, digits and _"
    )


def sql_table(name: str) -> str:
    """The name of a table, as a user writes it, for a query: every part in backticks."""
    return ".".join(quote(part) for part in name_parts(name))


def local_path(path: str) -> Path | None:
    """The place on this machine that a path or a ``file:`` URI names; None: it is elsewhere."""
    if path.startswith("file:"):
        place = Path(path.removeprefix("file://").removeprefix("file:")).absolute()
    elif _SCHEME.match(path):
        return None
    else:
        place = Path(path).absolute()
    # Behind a link, Hadoop takes ".." for another folder than the file system does.
    return place.resolve() if ".." in place.parts else place


@dataclass(frozen=True, slots=True)
class TableRoot:
    """The place of all tables: exactly one of ``path`` and ``schema`` is set."""

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
        """The table as it is now, and stays in this DataFrame whatever is written later."""
        name = self.sql_name(table)
        history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1")
        latest = history.select("version", "operation").first()
        if latest is None:
            raise ClinspanError(f"the table {table.name} in {self.describe()} has no history")
        # Of what was just created Spark need not list the files, nor join with any.
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
    # Most of a creation is one thread's planning.
    side_by_side(*(partial(_create_table, spark, root, table) for table in TABLES))


def _create_table(spark: SparkSession, root: TableRoot, table: Table) -> None:
    for attempt in range(CREATION_TRIES):
        try:
            with_retries(lambda: spark.sql(_creation(root, table)))
            _check_columns(root.read(spark, table).schema, table, root)
            return
        except ClinspanError:
            raise
        except Exception as error:  # a place that cannot be written comes as a bare Java error
            name = error_class(error)
            if name in _HALF_MADE and attempt < CREATION_TRIES - 1:
                time.sleep(1 + random.random())
                continue
            raise InputError(
                f"the table {table.name} cannot be created in {root.describe()} ({name}): give "
                "--output an empty or a new place, open to writing"
            ) from None


def create_schema(spark: SparkSession, schema: str, flag: str) -> None:
    """Creates a schema that is missing; ``flag`` is how a user names another.

    Raises:
        InputError: it cannot be made.
    """
    name = ".".join(quote(part) for part in schema.split("."))
    try:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
    except Exception as error:  # a missing catalog comes as a bare Java error
        raise InputError(
            f"the schema {schema} is not there and cannot be made ({error_class(error)}): "
            f"give {flag} one of a catalog that there is"
        ) from None


def table_properties(table: Table) -> dict[str, str]:
    """The Delta properties of a table of ours."""
    # Statistics stand in the log in plain text and VACUUM does not clean it: no text column.
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


def with_retries(write: Callable[[], Result]) -> Result:
    """Runs a write again when another writer came between.

    Raises:
        RootBusyError: it never got through.
    """
    for attempt in range(TRIES):
        try:
            return write()
        except CONFLICTS as error:
            if attempt == TRIES - 1:
                raise RootBusyError(
                    f"another run commits to the same tables ({type(error).__name__}, "
                    f"{TRIES} tries): let it end and run again"
                ) from None
            time.sleep(2**attempt * (0.5 + random.random()))
    raise AssertionError("unreachable: the last try returns or raises")


def error_class(error: Exception) -> str:
    """Spark's or Java's name of an error, which holds no values, unlike its message."""
    if isinstance(error, PySparkException):
        # Spark 4 renamed it.
        name = getattr(error, "getCondition", error.getErrorClass)()
        if name:
            return str(name)
    if found := _CONDITION.search(str(error)):
        return found[1]
    thrown = getattr(error, "java_exception", None)
    return type(error).__name__ if thrown is None else str(thrown.getClass().getSimpleName())
