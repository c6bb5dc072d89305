import pyarrow as pa
import pytest

from udfs import arrow_schemas
from udfs.arrow_schemas import to_batch

GOOD: dict[str, object] = {
    "window_hash": ["a", "b"],
    "spans": [[{"begin": 0, "end": 2, "label": "X", "score": 0.5}], []],
    "wordpieces": [3, 0],
    "unread_characters": [0, 1],
    "failure": [None, "died"],
}


@pytest.mark.parametrize(
    "schema",
    [arrow_schemas.WINDOW, arrow_schemas.PREDICTION, arrow_schemas.ANNOTATED_NOTE],
    ids=lambda s: s.names[1],
)
def test_a_batch_of_no_rows_has_the_schema(schema):
    batch = to_batch({name: [] for name in schema.names}, schema)
    assert batch.num_rows == 0
    assert batch.schema.equals(schema)


def test_columns_stand_in_the_order_and_the_types_of_the_schema():
    backwards = dict(reversed(GOOD.items()))
    batch = to_batch(backwards, arrow_schemas.PREDICTION)
    assert batch.schema.equals(arrow_schemas.PREDICTION)
    assert batch.to_pydict() == GOOD


def test_arrow_arrays_are_cast():
    columns = {
        **GOOD,
        "window_hash": pa.array(["a", "b"], pa.large_string()),
        "wordpieces": pa.array([3, 0], pa.int64()),
    }
    batch = to_batch(columns, arrow_schemas.PREDICTION)
    assert batch.schema.equals(arrow_schemas.PREDICTION)
    assert batch.to_pydict() == GOOD


@pytest.mark.parametrize(
    "names",
    [["window_hash"], [*GOOD, "more"], ["hash", "spans", "wordpieces", "unread_characters"]],
)
def test_other_names_are_refused(names):
    with pytest.raises(KeyError, match="are not those of the schema"):
        to_batch({name: [] for name in names}, arrow_schemas.PREDICTION)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("wordpieces", ["3", "0"]),
        ("wordpieces", [2**31, 0]),
        ("wordpieces", [3]),
        ("window_hash", [1, 2]),
        ("spans", ["a", "b"]),
        ("spans", [[{"begin": "x", "end": 2, "label": "X", "score": 0.5}], []]),
    ],
)
def test_other_types_and_lengths_are_refused(column, values):
    with pytest.raises((ValueError, TypeError)):  # Arrow's own errors are both
        to_batch({**GOOD, column: values}, arrow_schemas.PREDICTION)


@pytest.mark.parametrize("column", [name for name in GOOD if name != "failure"])
def test_a_null_is_refused_where_there_may_be_none(column):
    values = list(GOOD[column])
    values[1] = None
    with pytest.raises(ValueError, match=f"column {column} holds 1 nulls"):
        to_batch({**GOOD, column: values}, arrow_schemas.PREDICTION)
