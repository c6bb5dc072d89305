"""The rows of the project as Spark types, made from the Arrow schemas that workers use.

Nothing is declared here: columns stand in `udfs/table_columns.py`, rows between stages in
`udfs/arrow_schemas.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql import types as T

from udfs import arrow_schemas, table_columns

STRING, INT, LONG, FLOAT = T.StringType(), T.IntegerType(), T.LongType(), T.FloatType()
DOUBLE, TIMESTAMP = T.DoubleType(), T.TimestampType()
_TYPES: dict[pa.DataType, T.DataType] = {
    table_columns.STRING: STRING,
    table_columns.INT: INT,
    table_columns.LONG: LONG,
    table_columns.FLOAT: FLOAT,
    table_columns.DOUBLE: DOUBLE,
    table_columns.BOOLEAN: T.BooleanType(),
    table_columns.TIMESTAMP: TIMESTAMP,
}


def spark_struct(fields: Iterable[pa.Field]) -> T.StructType:
    """An Arrow schema, or the fields of an Arrow struct, as a Spark struct."""
    return T.StructType([T.StructField(f.name, spark_type(f.type), f.nullable) for f in fields])


def spark_type(kind: pa.DataType) -> T.DataType:
    """The Spark type that holds the same values.

    Raises:
        KeyError: no column of ours has this type.
    """
    if pa.types.is_struct(kind):
        return spark_struct(kind)
    if pa.types.is_list(kind):
        return T.ArrayType(spark_type(kind.value_type), kind.value_field.nullable)
    return _TYPES[kind]


# The columns of a note that travel with it into the entity table, and their types.
NOTE_DETAILS = {column.name: spark_type(column.kind) for column in table_columns.NOTE_DETAILS}

WINDOW = spark_struct(arrow_schemas.WINDOW)
SPANS = spark_type(arrow_schemas.PREDICTION.field("spans").type)
PREDICTION = spark_struct(arrow_schemas.PREDICTION)
ENTITY = spark_struct(arrow_schemas.ENTITY)
ANNOTATED_NOTE = spark_struct(arrow_schemas.ANNOTATED_NOTE)
CHECKED_NOTE = spark_struct(arrow_schemas.CHECKED_NOTE)
