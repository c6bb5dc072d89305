"""Creating tables and replacing rows: whole notes at a time, in places with awkward names."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines import schemas
from pipelines.spark.retries import with_retries
from pipelines.tables.definitions import (
    ENTITIES,
    NOTE_WINDOWS,
    PREDICTIONS,
    PROCESSED_NOTES,
    QUARANTINED_NOTES,
)
from pipelines.tables.row_writes import add_missing, append_rows, replace_notes
from pipelines.tables.table_root import TableRoot, create_tables
from udfs.errors import InputError, RootBusyError

PREDICTION_ROWS = [("h1", "m", [(0, 2, "Drug", 0.5)], 1, 0, None)]


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory: pytest.TempPathFactory) -> TableRoot:
    place = TableRoot.at(str(tmp_path_factory.mktemp("root") / "it's `odd` {x} [1]* %41 é;"), None)
    create_tables(spark, place)
    return place


def windows(spark, *rows: tuple[str, int]):
    return spark.createDataFrame(
        [(note, index, 0, 1, f"{note}{index}") for note, index in rows], NOTE_WINDOWS.schema
    )


def ids(spark, *names: str):
    return spark.createDataFrame([(name,) for name in names], "note_id string")


def stored(spark, root: TableRoot) -> list[tuple[str, int]]:
    found = root.read(spark, NOTE_WINDOWS).collect()
    return sorted((row.note_id, row.window_index) for row in found)


def test_a_notes_rows_are_replaced_as_a_whole(spark, root: TableRoot) -> None:
    table = NOTE_WINDOWS
    first = windows(spark, ("a", 0), ("a", 1), ("b", 0), ("c", 0))
    replace_notes(spark, root, table, first, ids(spark, "a", "b", "c"))
    assert stored(spark, root) == [("a", 0), ("a", 1), ("b", 0), ("c", 0)]
    replace_notes(spark, root, table, windows(spark, ("a", 5)), ids(spark, "a", "b"))
    assert stored(spark, root) == [("a", 5), ("c", 0)]


def test_new_rows_of_a_replacement_are_shared_among_tasks(spark, root: TableRoot) -> None:
    option = "spark.sql.adaptive.coalescePartitions.enabled"
    spark.conf.set(option, "false")
    try:
        names = [f"many {i}" for i in range(40)]
        for index in (1, 2):
            rows = windows(spark, *((name, index) for name in names))
            replace_notes(spark, root, NOTE_WINDOWS, rows, ids(spark, *names))
    finally:
        spark.conf.unset(option)
    many = root.read(spark, NOTE_WINDOWS).where("note_id LIKE 'many %'")
    assert {row.window_index for row in many.collect()} == {2}
    assert many.select(F.input_file_name()).distinct().count() > 1


def ledger_row(spark, note_id: str, model: str, entities: int):
    values = {f.name: 0 if f.dataType == schemas.INT else "x" for f in PROCESSED_NOTES.schema}
    values |= {"note_id": note_id, "model": model, "entities": entities}
    values |= {"processed_at": datetime.now(UTC), "storetime": None}
    return spark.createDataFrame([values], PROCESSED_NOTES.schema)


def test_models_are_kept_apart(spark, root: TableRoot) -> None:
    table = PROCESSED_NOTES
    for model, count in (("m'1", 1), ("m2", 2), ("m'1", 3)):
        rows = ledger_row(spark, "a", model, count)
        replace_notes(spark, root, table, rows, ids(spark, "a"), model)
    found = {r.model: r.entities for r in root.read(spark, table).collect()}
    assert found == {"m'1": 3, "m2": 2}


def test_add_missing_adds_once(spark, root: TableRoot) -> None:
    row = ("hint", "rule", "detail", "p", "r", datetime.now(UTC), None, None)
    rows = spark.createDataFrame([row], QUARANTINED_NOTES.schema)
    for _ in range(2):
        add_missing(spark, root, QUARANTINED_NOTES, rows, ("row_hint", "text_hash", "rule"))
    assert root.read(spark, QUARANTINED_NOTES).count() == 1


def test_a_snapshot_stays_what_it_was(spark, root: TableRoot) -> None:
    before = root.snapshot(spark, PREDICTIONS)
    rows = spark.createDataFrame(PREDICTION_ROWS, PREDICTIONS.schema)
    append_rows(root, PREDICTIONS, rows)
    later = root.snapshot(spark, PREDICTIONS)
    append_rows(root, PREDICTIONS, rows)
    assert [before.count(), later.count()] == [0, 1]
    assert root.read(spark, PREDICTIONS).count() == 2
    assert before.schema == later.schema


def test_a_new_table_is_not_listed(spark, tmp_path: Path) -> None:
    place = TableRoot.at(str(tmp_path), None)
    create_tables(spark, place)
    rows = spark.createDataFrame(PREDICTION_ROWS, PREDICTIONS.schema)
    empty = place.snapshot(spark, PREDICTIONS)
    joined = rows.join(empty, on="window_hash", how="left_anti")
    assert joined.count() == 1
    plan = spark.sql("EXPLAIN SELECT * FROM {rows}", rows=joined).first()[0]
    assert "parquet" not in plan.lower() and "join" not in plan.lower()
    # A table that was made with rows in it is no such table, though it has one version too.
    table = f"delta.`{tmp_path}/copied`"
    spark.sql(f"CREATE TABLE {table} USING delta AS SELECT * FROM {{rows}}", rows=rows)
    copied = dataclasses.replace(PREDICTIONS, name="copied")
    assert place.snapshot(spark, copied).count() == 1


def test_tables_in_a_schema(spark) -> None:
    place = TableRoot.at(None, "clinspan_test")
    create_tables(spark, place)
    replace_notes(spark, place, NOTE_WINDOWS, windows(spark, ("a", 0)), ids(spark, "a"))
    rows = spark.createDataFrame(PREDICTION_ROWS, PREDICTIONS.schema)
    append_rows(place, PREDICTIONS, rows)
    assert stored(spark, place) == [("a", 0)]
    assert spark.table("clinspan_test.predictions").count() == 1
    spark.sql("DROP SCHEMA clinspan_test CASCADE")


def test_the_log_holds_statistics_of_no_text(spark, tmp_path: Path) -> None:
    place = TableRoot.at(str(tmp_path), None)
    create_tables(spark, place)
    now = datetime.now(UTC)
    row = ("e", "n", 1, 2, "DS", now, 0, 6, "canary", "Drug", "drug", 0.5, "m", "f", "p", "r", now)
    append_rows(place, ENTITIES, spark.createDataFrame([row], ENTITIES.schema))
    logs = sorted((tmp_path / "entities" / "_delta_log").iterdir())
    content = "".join(p.read_text(errors="replace") for p in logs if p.is_file())
    added = [json.loads(line) for line in content.splitlines() if '"add"' in line]
    assert added and "note_id" in added[0]["add"]["stats"]
    assert "canary" not in content


def test_times_of_any_age_are_stored(spark, root: TableRoot) -> None:
    row = ledger_row(spark, "old", "m", 0)
    row = row.withColumn("storetime", F.expr("timestamp '0001-01-01 00:00:00'"))
    replace_notes(spark, root, PROCESSED_NOTES, row, ids(spark, "old"), "m")
    found = root.read(spark, PROCESSED_NOTES).where("note_id = 'old'")
    assert found.select(F.col("storetime").cast("string")).first()[0] == "0001-01-01 00:00:00"


@pytest.mark.parametrize(
    ("given", "is_local"),
    [
        ("x/y/", True),
        ("file:/x", True),
        ("file:///x", True),
        ("co:lon", True),
        ("dbfs:/x", False),
        ("s3a://bucket/x", False),
    ],
)
def test_local_roots_are_made_absolute_and_others_left(given: str, is_local: bool) -> None:
    place = TableRoot.at(given, None).path
    assert place is not None and not place.endswith("/")
    assert place.startswith("/") if is_local else place == given


def test_a_schema_that_cannot_be_is_an_input_error(spark) -> None:
    with pytest.raises(InputError, match=r"\(\w+\): give --output-schema"):
        create_tables(spark, TableRoot.at(None, "no_such_catalog.x"))


def test_a_place_that_cannot_hold_tables_is_an_input_error(spark, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"\(\w+\): give --output"):
        create_tables(spark, TableRoot.at(str(tmp_path / "file"), None))


def test_other_tables_in_the_place_are_refused(spark, tmp_path: Path) -> None:
    spark.range(3).write.format("delta").save(str(tmp_path / "entities"))
    with pytest.raises(InputError, match="entities"):
        create_tables(spark, TableRoot.at(str(tmp_path), None))
    (tmp_path / "b" / "entities").mkdir(parents=True)
    (tmp_path / "b" / "entities" / "something.txt").write_text("else")
    with pytest.raises(InputError, match="entities"):
        create_tables(spark, TableRoot.at(str(tmp_path / "b"), None))


def test_conflicts_are_tried_again_and_then_given_up(
    spark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of Delta's cannot be made without a session."""
    from delta.exceptions import ConcurrentAppendException

    monkeypatch.setattr("pipelines.spark.retries.time.sleep", lambda seconds: None)
    tries = []

    def write(failures: int) -> str:
        tries.append(1)
        if len(tries) <= failures:
            raise ConcurrentAppendException("busy", "")
        return "written"

    assert with_retries(lambda: write(2)) == "written"
    tries.clear()
    with pytest.raises(RootBusyError, match="ConcurrentAppendException"):
        with_retries(lambda: write(99))


def test_schema_types_survive_creation(spark, root: TableRoot) -> None:
    found = root.read(spark, PREDICTIONS).schema["spans"].dataType
    assert isinstance(found, T.ArrayType)
    assert found.simpleString() == schemas.SPANS.simpleString()
