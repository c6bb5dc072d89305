"""How rows get into the tables: a note's rows are replaced as a whole, in one commit.

It uses the one form of MERGE that works on every Spark we support and over Spark Connect. A
tombstone row for each replaced note deletes its old rows, and the same statement inserts the new
ones. A note without new rows has only its tombstone.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.spark.names import quote
from pipelines.spark.retries import with_retries
from pipelines.tables.definitions import Table
from pipelines.tables.table_root import TableRoot

_TOMBSTONE = "_is_tombstone"


def replace_notes(
    spark: SparkSession,
    root: TableRoot,
    table: Table,
    rows: DataFrame,
    note_ids: DataFrame,
    model: str | None = None,
) -> None:
    """Replaces all rows of some notes by new ones.

    Args:
        spark: the session.
        root: where the table is.
        table: one with a column `note_id`.
        rows: the new rows, with at least the columns of the table.
        note_ids: the notes to replace (column `note_id`), including those without new rows.
        model: replace only the rows of this model (column `model`); None: all rows.
    """
    names = table.schema.names
    tombstones = note_ids.select(
        *(
            F.col(f.name) if f.name == "note_id" else F.lit(None).cast(f.dataType).alias(f.name)
            for f in table.schema
        ),
        F.lit(True).alias(_TOMBSTONE),
    )
    # New rows keep their id as join key: with null keys, one task would write them all.
    source = rows.select(*names, F.lit(False).alias(_TOMBSTONE)).unionByName(tombstones)
    same_model = "" if model is None else f" AND t.model = {_literal(model)}"
    statement = (
        f"MERGE INTO {_braces(root.sql_name(table))} t USING {{source}} s "
        f"ON t.note_id = s.note_id AND s.{_TOMBSTONE}{_braces(same_model)} "
        "WHEN MATCHED THEN DELETE "
        f"WHEN NOT MATCHED AND NOT s.{_TOMBSTONE} THEN {_insertion(names)}"
    )
    with_retries(lambda: spark.sql(statement, source=source))


def add_missing(
    spark: SparkSession, root: TableRoot, table: Table, rows: DataFrame, keys: tuple[str, ...]
) -> None:
    """Inserts the rows whose keys are not in the table yet."""
    condition = " AND ".join(f"t.{quote(key)} <=> s.{quote(key)}" for key in keys)
    statement = (
        f"MERGE INTO {_braces(root.sql_name(table))} t USING {{source}} s ON {condition} "
        f"WHEN NOT MATCHED THEN {_insertion(table.schema.names)}"
    )
    with_retries(lambda: spark.sql(statement, source=rows.select(*table.schema.names)))


def replace_row(
    spark: SparkSession, root: TableRoot, table: Table, row: DataFrame, key: str
) -> None:
    """Replaces the row with the same key by a new one, or adds it."""
    names = table.schema.names
    updates = ", ".join(f"t.{quote(name)} = s.{quote(name)}" for name in names)
    statement = (
        f"MERGE INTO {_braces(root.sql_name(table))} t USING {{source}} s "
        f"ON t.{quote(key)} = s.{quote(key)} "
        f"WHEN MATCHED THEN UPDATE SET {updates} WHEN NOT MATCHED THEN {_insertion(names)}"
    )
    with_retries(lambda: spark.sql(statement, source=row.select(*names)))


def update_rows(
    spark: SparkSession, root: TableRoot, table: Table, rows: DataFrame, *keys: str
) -> int:
    """Changes columns of existing rows; returns the number of changed rows.

    Args:
        spark: the session.
        root: where the table is.
        table: the table.
        rows: the columns `keys`, each combination of values once, and the columns that change.
        keys: the columns that identify a row.
    """
    updates = ", ".join(f"t.{quote(n)} = s.{quote(n)}" for n in rows.columns if n not in keys)
    condition = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys)
    statement = (
        f"MERGE INTO {_braces(root.sql_name(table))} t USING {{source}} s ON {condition} "
        f"WHEN MATCHED THEN UPDATE SET {updates}"
    )
    counts = with_retries(lambda: spark.sql(statement, source=rows).first())
    return 0 if counts is None else int(counts["num_updated_rows"])


def delete_rows(spark: SparkSession, root: TableRoot, table: Table, keys: DataFrame) -> None:
    """Deletes the rows whose values in the columns of `keys` match one of its rows.

    The statement does not hold the values, so no plan, event log or commit does.
    """
    condition = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys.columns)
    statement = (
        f"MERGE INTO {_braces(root.sql_name(table))} t USING {{source}} s ON {condition} "
        "WHEN MATCHED THEN DELETE"
    )
    with_retries(lambda: spark.sql(statement, source=keys.distinct()))


def append_rows(root: TableRoot, table: Table, rows: DataFrame) -> None:
    """Appends rows; blind appends of two writers never conflict."""
    writer = rows.select(*table.schema.names).write.format("delta").mode("append")
    if root.schema is not None:
        with_retries(lambda: writer.saveAsTable(root.sql_name(table)))
    else:
        with_retries(lambda: writer.save(f"{root.path}/{table.name}"))


def _insertion(names: list[str]) -> str:
    columns = ", ".join(quote(name) for name in names)
    values = ", ".join(f"s.{quote(name)}" for name in names)
    return f"INSERT ({columns}) VALUES ({values})"


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _braces(text: str) -> str:
    """Doubles braces, because `spark.sql` formats its statement and braces must survive that."""
    return text.replace("{", "{{").replace("}", "}}")
