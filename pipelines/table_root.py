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
from pathlib import Path, PurePath
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
from udfs.errors import ClinspanError, InputError

Result = TypeVar("Result")
# A conflict resolves itself when the other writer has committed; five tries span about 30 s.
TRIES = 5
# Of two characters at least, as in ``dbfs:/``: Spark, too, takes what stands before for a scheme.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


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


def local_path(path: str) -> Path | None:
    """The place on this machine that a path or a ``file:`` URI names; None: it is elsewhere."""
    if path.startswith("file:"):
        return Path(path.removeprefix("file://").removeprefix("file:")).absolute()
    return None if _SCHEME.match(path) else Path(path).absolute()


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
        latest = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").first()
        if latest is None:
            raise ClinspanError(f"the table {table.name} in {self.describe()} has no history")
        return spark.sql(f"SELECT * FROM {name} VERSION AS OF {latest['version']}")

    def describe(self) -> str:
        """The root as a user would write it."""
        return self.schema or str(self.path)


def refuse_overlap(root: TableRoot, path: str | None, table: str | None) -> None:
    """Notes and tables must lie apart, or a run reads tables as notes and grows by its own rows.

    Raises:
        InputError: the notes are a table of the root, or the root lies in the notes' folder.
    """
    given = path or table
    if path is not None and root.path is not None:
        notes, tables = _place(path), _place(root.path)
        own = any(notes.is_relative_to(tables / entry.name) for entry in TABLES)
        if tables.is_relative_to(notes):
            raise InputError(
                f"the output {root.path} lies in the notes {path}: the next run would find its "
                "tables among the notes; give --output a place outside"
            )
    else:
        name = str(table).replace("`", "").lower()
        tables_there = {f"{root.schema}.{entry.name}".lower() for entry in TABLES}
        own = root.schema is not None and name in tables_there
    if own:
        raise InputError(
            f"the notes {given} are a table that this job writes below {root.describe()}: "
            "give the notes that it was made from"
        )


def _place(path: str) -> PurePath:
    local = local_path(path)
    return PurePath(path) if local is None else local.resolve()


def create_tables(spark: SparkSession, root: TableRoot) -> None:
    """Creates what is missing and checks what is there.

    Raises:
        InputError: the place cannot hold tables, or a table there has other columns.
    """
    if root.schema is not None:
        name = ".".join(quote(part) for part in root.schema.split("."))
        try:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}")
        except Exception as error:  # a missing catalog comes as a bare Java error
            raise InputError(
                f"the schema {root.schema} is not there and cannot be made "
                f"({error_class(error)}): give --output-schema one of a catalog that there is"
            ) from None
    for table in TABLES:
        try:
            with_retries(lambda t=table: spark.sql(_creation(root, t)))  # type: ignore[misc]
            _check_columns(root.read(spark, table).schema, table, root)
        except ClinspanError:
            raise
        except Exception as error:  # a place that cannot be written comes as a bare Java error
            raise InputError(
                f"the table {table.name} cannot be created in {root.describe()} "
                f"({error_class(error)}): give --output an empty or a new place, open to writing"
            ) from None


def _creation(root: TableRoot, table: Table) -> str:
    columns = ", ".join(
        f"{quote(f.name)} {f.dataType.simpleString()}{'' if f.nullable else ' NOT NULL'}"
        for f in table.schema
    )
    # Statistics stand in the log in plain text and VACUUM does not clean it: no text column.
    properties = {
        "delta.dataSkippingStatsColumns": ",".join(table.statistics),
        "delta.enableChangeDataFeed": str(table.change_feed).lower(),
    }
    listed = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    name = root.sql_name(table)
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta TBLPROPERTIES ({listed})"


def _check_columns(found: T.StructType, table: Table, root: TableRoot) -> None:
    here = {f.name: f.dataType.simpleString() for f in found}
    wanted = {f.name: f.dataType.simpleString() for f in table.schema}
    if here != wanted:
        differing = sorted(name for name, _ in here.items() ^ wanted.items())
        raise InputError(
            f"the table {table.name} in {root.describe()} has other columns than this release "
            f"writes ({', '.join(dict.fromkeys(differing))}): give --output another place"
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
    if isinstance(error, PySparkException) and (name := error.getErrorClass()):
        return name
    thrown = getattr(error, "java_exception", None)
    return type(error).__name__ if thrown is None else str(thrown.getClass().getSimpleName())
