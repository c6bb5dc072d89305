"""The Delta tables of a root; their columns are declared in `udfs/table_columns.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import types as T

from pipelines.schemas import spark_struct
from udfs import table_columns


@dataclass(frozen=True)
class Table:
    """A Delta table of the root; `change_feed` keeps row-level changes for readers downstream."""

    name: str
    change_feed: bool = False

    @property
    def columns(self) -> tuple[table_columns.Column, ...]:
        """Its columns, in order."""
        return table_columns.TABLES[self.name]

    @cached_property
    def schema(self) -> T.StructType:
        """Its columns as Spark's types."""
        return spark_struct(column.field for column in self.columns)

    @property
    def statistics(self) -> tuple[str, ...]:
        """The columns whose minimum and maximum Delta may write into its log."""
        return tuple(column.name for column in self.columns if column.statistics)


ENTITIES = Table("entities", change_feed=True)
PROCESSED_NOTES = Table("processed_notes")
NOTE_WINDOWS = Table("note_windows")
QUARANTINED_NOTES = Table("quarantined_notes")
PREDICTIONS = Table("predictions")
RUNS = Table("runs")
TABLES = (ENTITIES, PROCESSED_NOTES, NOTE_WINDOWS, QUARANTINED_NOTES, PREDICTIONS, RUNS)
