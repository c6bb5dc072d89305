"""The Spark types and the Arrow types of the workers are the same; no statistics over text."""

from __future__ import annotations

import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from pipelines import schemas
from pipelines.tables.definitions import TABLES, Table
from udfs import arrow_schemas


@pytest.mark.parametrize("name", ["WINDOW", "PREDICTION", "ANNOTATED_NOTE", "CHECKED_NOTE"])
def test_spark_and_arrow_schemas_are_equal(name: str) -> None:
    assert to_arrow_schema(getattr(schemas, name)) == getattr(arrow_schemas, name)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_statistics_never_cover_text(table: Table) -> None:
    assert table.statistics
    assert set(table.statistics) <= set(table.schema.names)
    assert not {"text", "label", "detail", "spans"} & set(table.statistics)


def test_only_entities_hold_text() -> None:
    with_text = [t.name for t in TABLES if "text" in t.schema.names]
    assert with_text == ["entities"]
