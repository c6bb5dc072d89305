"""Which steps bring a table to this release, and what is refused."""

from __future__ import annotations

import pytest
from pyspark.sql import types as T

from pipelines.tables.definitions import RUNS, TABLES
from pipelines.tables.table_root import table_properties
from pipelines.upkeep.table_upgrade import plan_upgrade
from udfs.errors import InputError

FINE = table_properties(RUNS)


def without(*names: str) -> T.StructType:
    return T.StructType([field for field in RUNS.schema if field.name not in names])


def changed(name: str, kind: T.DataType, nullable: bool = True) -> T.StructType:
    other = T.StructField(name, kind, nullable)
    return T.StructType([other if field.name == name else field for field in RUNS.schema])


def test_a_table_of_this_release_needs_nothing() -> None:
    for table in TABLES:
        assert plan_upgrade(table, table.schema, table_properties(table) | {"owner": "x"}) == []
    # The order of columns is no difference.
    backwards = T.StructType(list(reversed(RUNS.schema.fields)))
    assert plan_upgrade(RUNS, backwards, FINE) == []


def test_columns_that_may_be_null_are_added_at_once() -> None:
    (step,) = plan_upgrade(RUNS, without("entities", "seconds"), FINE)
    assert step.words == "adds the columns entities, seconds"
    assert step.statement == (
        "ALTER TABLE {name} ADD COLUMNS (`entities` bigint, `seconds` double)"
    )


def test_a_column_may_become_nullable_and_properties_are_set() -> None:
    found = changed("seconds", T.DoubleType(), nullable=False)
    steps = plan_upgrade(RUNS, found, {"delta.dataSkippingStatsColumns": "run_id"})
    assert [step.statement for step in steps] == [
        "ALTER TABLE {name} ALTER COLUMN `seconds` DROP NOT NULL",
        "ALTER TABLE {name} SET TBLPROPERTIES ('delta.dataSkippingStatsColumns' = "
        "'run_id,start,status', 'delta.enableChangeDataFeed' = 'false')",
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (without("model", "seconds"), "has no model, which each of its rows must have"),
        (changed("notes", T.StringType()), r"another type \(notes is string, not bigint\)"),
        (T.StructType([*RUNS.schema, T.StructField("mood", T.LongType())]), r"know \(mood\)"),
    ],
)
def test_what_cannot_be_upgraded_is_refused(found: T.StructType, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan_upgrade(RUNS, found, FINE)
