"""Upkeep of real tables: an older release, predictions that nobody needs, files."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.tables.definitions import ENTITIES, PREDICTIONS, RUNS, TABLES
from pipelines.tables.row_writes import append_rows, replace_notes
from pipelines.tables.table_root import TableRoot, create_tables
from pipelines.upkeep.table_history import count_old_files, vacuum
from pipelines.upkeep.table_maintenance import Retention, drop_predictions, optimize_tables
from pipelines.upkeep.table_upgrade import upgrade_tables
from pipelines.verification.table_verification import open_for_checks, verify_tables
from udfs.errors import InputError


@pytest.fixture
def root(made_root: Path, tmp_path: Path) -> TableRoot:
    return TableRoot.at(str(shutil.copytree(made_root / "root", tmp_path / "root")), None)


def broken(spark, root: TableRoot) -> list[str]:
    tables, missing = open_for_checks(spark, root)
    return [f.check.name for f in (missing, *verify_tables(tables)) if f.broken]


@pytest.mark.whole
@pytest.mark.both_lanes
def test_tables_of_an_older_release_become_those_of_this_one(spark, root: TableRoot) -> None:
    place = Path(str(root.path))
    older = root.read(spark, RUNS).drop("entities", "seconds").collect()
    shutil.rmtree(place / "runs")
    fields = [f for f in RUNS.schema if f.name not in ("entities", "seconds")]
    rows = spark.createDataFrame(older, schemas.T.StructType(fields))
    rows.write.format("delta").save(str(place / "runs"))
    with pytest.raises(InputError, match="other columns"):
        create_tables(spark, root)
    shutil.rmtree(place / "quarantined_notes")

    steps = [(step.table, step.words) for step in upgrade_tables(spark, root)]
    assert steps == [
        ("runs", "adds the columns entities, seconds"),
        ("runs", "sets delta.dataSkippingStatsColumns, delta.enableChangeDataFeed"),
        ("quarantined_notes", "creates the table"),
    ]
    # Nothing to do is said of tables that create_tables made, too.
    assert upgrade_tables(spark, root) == []
    runs = root.read(spark, RUNS)
    assert {(r["status"], r["entities"]) for r in runs.collect()} == {("done", None)}
    assert broken(spark, root) == []


@pytest.mark.whole
def test_a_table_that_cannot_be_upgraded_keeps_all_from_being_changed(
    spark, root: TableRoot
) -> None:
    name = root.sql_name(RUNS)
    spark.sql(f"ALTER TABLE {name} ADD COLUMNS (mood STRING)")
    entities = root.sql_name(ENTITIES)
    spark.sql(f"ALTER TABLE {entities} UNSET TBLPROPERTIES ('delta.enableChangeDataFeed')")
    with pytest.raises(InputError, match="newer release"):
        upgrade_tables(spark, root)
    properties = {r["key"] for r in spark.sql(f"SHOW TBLPROPERTIES {entities}").collect()}
    assert "delta.enableChangeDataFeed" not in properties


@pytest.mark.whole
def test_predictions_that_no_note_needs_are_dropped(spark, root: TableRoot) -> None:
    predictions = root.read(spark, PREDICTIONS)
    count = predictions.count()
    other = predictions.selectExpr(
        "window_hash",
        "'f0' AS model_fingerprint",
        "spans",
        "wordpieces",
        "unread_characters",
        "failure",
    )
    append_rows(root, PREDICTIONS, other)
    assert drop_predictions(spark, root, Retention()) == 0
    assert drop_predictions(spark, root, Retention(unused=True, other_models=True)) == count + 1
    left = root.read(spark, PREDICTIONS)
    assert {r["model_fingerprint"] for r in left.collect()} == {"f1"}
    assert left.count() == count - 1
    assert broken(spark, root) == []

    run = root.read(spark, RUNS).first().asDict()
    run |= {"run_id": "dead", "status": "failed", "start": datetime(2150, 1, 1)}
    values = tuple(run[name] for name in RUNS.schema.names)
    append_rows(root, RUNS, spark.createDataFrame([values], RUNS.schema))
    with pytest.raises(InputError, match="dead, is failed"):
        drop_predictions(spark, root, Retention(unused=True))


@pytest.mark.whole
@pytest.mark.both_lanes
def test_files_are_merged_ordered_and_removed(spark, root: TableRoot) -> None:
    tables = (ENTITIES, RUNS)  # one that is clustered, one that is not
    for table in set(TABLES) - set(tables):
        shutil.rmtree(f"{root.path}/{table.name}")

    def contents() -> dict[str, list[str]]:
        return {t.name: sorted(map(str, root.read(spark, t).collect())) for t in tables}

    for note_id in ("x", "y"):
        more = root.read(spark, ENTITIES).where("note_id = 'a'").drop("note_id")
        append_rows(root, ENTITIES, more.withColumn("note_id", F.lit(note_id)))
    expected = contents()
    sizes = {before.table: (before, after) for before, after in optimize_tables(spark, root)}
    before, after = sizes["entities"]
    assert before.files > after.files == 1 and after.bytes > 0
    assert set(sizes) == set(expected)
    log = "".join(f.read_text() for f in Path(f"{root.path}/entities/_delta_log").glob("*.json"))
    assert "OPTIMIZE" in log and "insulin" not in log

    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    assert count_old_files(spark, root, ENTITIES) > 0
    vacuum(spark, root, ENTITIES, hours=168)
    assert count_old_files(spark, root, ENTITIES) > 0
    vacuum(spark, root, ENTITIES, hours=0)
    assert count_old_files(spark, root, ENTITIES) == 0
    assert contents() == expected
    assert spark.conf.get(check, None) is None

    # A clustered table is written as before.
    ids = spark.createDataFrame([("a",), ("d",)], "note_id string")
    of_a = spark.createDataFrame(
        root.read(spark, ENTITIES).where("note_id = 'a'").collect(), ENTITIES.schema
    )
    replace_notes(spark, root, ENTITIES, of_a, ids, "fake")
    left = [row["note_id"] for row in root.read(spark, ENTITIES).collect()]
    assert (left.count("a"), left.count("d")) == (2, 0)
