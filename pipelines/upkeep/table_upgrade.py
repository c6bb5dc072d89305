"""How tables of an older release become tables of this one: which statements, and what is refused.

A step is one statement over one table. A step that was done is not planned again, so the next
upgrade completes one that died. It does not touch rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from pipelines.spark.names import quote
from pipelines.spark.retries import with_retries
from pipelines.tables.definitions import TABLES, Table
from pipelines.tables.existing_tables import find_tables
from pipelines.tables.table_root import TableRoot, create_tables, table_properties
from udfs.errors import InputError


@dataclass(frozen=True, slots=True)
class UpgradeStep:
    """One statement, with `{name}` for the table, and what it does in words."""

    table: str
    words: str
    statement: str


def plan_upgrade(
    table: Table, found: T.StructType, properties: Mapping[str, str]
) -> list[UpgradeStep]:
    """The steps from a table as it is to the one that this release writes.

    Args:
        table: what this release writes.
        found: the columns that are there.
        properties: the table properties that are there.

    Raises:
        InputError: the table cannot be upgraded.
    """
    here = {field.name: field for field in found}
    wanted = {field.name: field for field in table.schema}
    _refuse(table, here, wanted)
    missing = [field for name, field in wanted.items() if name not in here]
    open_to_null = [n for n, f in wanted.items() if n in here and f.nullable > here[n].nullable]
    changed = {
        key: value for key, value in table_properties(table).items() if properties.get(key) != value
    }
    steps = []
    if missing:
        listed = ", ".join(f"{quote(f.name)} {f.dataType.simpleString()}" for f in missing)
        words = f"adds the columns {', '.join(field.name for field in missing)}"
        steps.append(UpgradeStep(table.name, words, f"ALTER TABLE {{name}} ADD COLUMNS ({listed})"))
    for name in open_to_null:
        words = f"lets the column {name} be null"
        change = f"ALTER COLUMN {quote(name)} DROP NOT NULL"
        steps.append(UpgradeStep(table.name, words, f"ALTER TABLE {{name}} {change}"))
    if changed:
        listed = ", ".join(f"'{key}' = '{value}'" for key, value in changed.items())
        words = f"sets {', '.join(changed)}"
        change = f"ALTER TABLE {{name}} SET TBLPROPERTIES ({listed})"
        steps.append(UpgradeStep(table.name, words, change))
    return steps


def _refuse(
    table: Table, here: Mapping[str, T.StructField], wanted: Mapping[str, T.StructField]
) -> None:
    if newer := sorted(here.keys() - wanted.keys()):
        raise InputError(
            f"the table {table.name} has columns that this release does not know "
            f"({', '.join(newer)}): it was written by a newer release, use that one"
        )
    if needed := [n for n, f in wanted.items() if n not in here and not f.nullable]:
        raise InputError(
            f"the table {table.name} has no {', '.join(needed)}, which each of its rows must have: "
            "it cannot be upgraded. Give jobs/extract_entities.py a new --output"
        )
    kinds = {name: field.dataType.simpleString() for name, field in here.items()}
    asked = {name: wanted[name].dataType.simpleString() for name in here}
    if other := [f"{n} is {kinds[n]}, not {asked[n]}" for n in here if kinds[n] != asked[n]]:
        raise InputError(
            f"the table {table.name} has columns of another type ({', '.join(other)}): it cannot "
            "be upgraded. Give jobs/extract_entities.py a new --output"
        )


def upgrade_tables(spark: SparkSession, root: TableRoot) -> list[UpgradeStep]:
    """Brings all tables of a root to this release; adds those that are missing.

    Returns:
        the steps that were done.

    Raises:
        InputError: there are no tables, or one cannot be upgraded; then none was changed.
    """
    tables = find_tables(spark, root)
    steps = [
        (root.sql_name(table), step)
        for table in TABLES
        if table.name in tables
        for step in plan_upgrade(
            table, tables[table.name].schema, _properties(spark, root.sql_name(table))
        )
    ]
    for name, step in steps:
        statement = step.statement.replace("{name}", name)
        with_retries(lambda s=statement: spark.sql(s))  # type: ignore[misc]
    create_tables(spark, root)
    added = [
        UpgradeStep(table.name, "creates the table", "")
        for table in TABLES
        if table.name not in tables
    ]
    return [step for _, step in steps] + added


def _properties(spark: SparkSession, name: str) -> dict[str, str]:
    rows = spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
    return {row["key"]: row["value"] for row in rows}
