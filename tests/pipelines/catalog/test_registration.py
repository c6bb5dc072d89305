"""Names in a catalog for a root's tables: made once, mended when it moves, taken from nobody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import types as T

from pipelines.catalog.catalog_views import VIEWS
from pipelines.catalog.registration import Names, is_lasting, register_tables
from pipelines.tables.definitions import (
    ENTITIES,
    PROCESSED_NOTES,
    QUARANTINED_NOTES,
    RUNS,
    TABLES,
    Table,
)
from pipelines.tables.row_writes import append_rows
from pipelines.tables.table_root import TableRoot, create_tables
from udfs.errors import InputError

DAY_1, DAY_2 = datetime(2150, 1, 1, tzinfo=UTC), datetime(2150, 1, 2, tzinfo=UTC)
BLANK = {T.StringType: "x", T.IntegerType: 0, T.LongType: 0, T.FloatType: 0.5, T.DoubleType: 0.0}


def row(table: Table, **values: object) -> tuple:
    """A row of a table: what a test does not say is null, or the same for all where it may not."""
    fill = {
        f.name: None if f.nullable else BLANK.get(type(f.dataType), DAY_1) for f in table.schema
    }
    assert set(values) <= set(fill)
    return tuple({**fill, **values}.values())


def mention(note_id: str, text: str, **values: object) -> tuple:
    values = {"model": "m", "run_id": "r1", "entity_type": "drug", "score": 0.5, **values}
    return row(ENTITIES, note_id=note_id, text=text, **values)


def done(note_id: str, **values: object) -> tuple:
    values = {"model": "m", "run_id": "r1", "processed_at": DAY_1, **values}
    return row(PROCESSED_NOTES, note_id=note_id, characters=100, **values)


def refused(hint: str, rule: str, **values: object) -> tuple:
    return row(QUARANTINED_NOTES, row_hint=hint, rule=rule, **values)


ROWS = {
    ENTITIES: [
        mention("a", "Aspirin\n 81", subject_id=1, hadm_id=10, charttime=DAY_1, score=0.4),
        mention("a", "aspirin 81", subject_id=1, hadm_id=10, charttime=DAY_1, score=0.6),
        mention("b", "aspirin 81", subject_id=1, hadm_id=11, charttime=DAY_2),
        mention("b", "anemia", subject_id=1, hadm_id=11, charttime=DAY_2, entity_type="disease"),
        mention("c", "aspirin 81", subject_id=2),
        mention("c", "left over", subject_id=2, run_id="r0"),
        mention("unfinished", "aspirin 81", subject_id=3, run_id="r2"),
    ],
    PROCESSED_NOTES: [
        done("a", entities=2, storetime=DAY_2),
        done("b", entities=2, processed_at=DAY_2),
        done("c", entities=1),
        done("blank"),
        done("unfinished"),
    ],
    QUARANTINED_NOTES: [
        refused("a", "too_long", note_id="a", at=DAY_2),
        refused("b", "too_long", note_id="b", at=DAY_1),
        refused("hash", "no_note_id", at=DAY_1),
    ],
    RUNS: [
        row(RUNS, run_id="r1", status="done", model="m", rows_read=10, notes=9,
            unchanged_notes=1, quarantined_notes=1, seconds=4.0, inference_seconds=2.0,
            scored_wordpieces=500),
        row(RUNS, run_id="r2", status="running", model="m"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def root(spark, tmp_path_factory: pytest.TempPathFactory) -> TableRoot:
    place = TableRoot.at(str(tmp_path_factory.mktemp("roots") / "it's `odd` {x} 50% %20"), None)
    create_tables(spark, place)
    for table, rows in ROWS.items():
        append_rows(place, table, spark.createDataFrame(rows, table.schema))
    return place


@pytest.fixture(scope="module")
def views(spark, root: TableRoot) -> Iterator[str]:
    """The tables and views of the root in a schema, each with the prefix `c_`."""
    entries = register_tables(spark, root.path, Names("clinspan_views", "c_"))
    assert {entry.state for entry in entries} == {"new"}
    assert [entry.name for entry in entries] == [
        f"clinspan_views.c_{entry.name}" for entry in (*TABLES, *VIEWS)
    ]
    yield "clinspan_views.c_"
    spark.sql("DROP SCHEMA clinspan_views CASCADE")


@pytest.fixture
def schema(spark) -> Iterator[str]:
    yield "clinspan_names"
    spark.sql("DROP SCHEMA IF EXISTS clinspan_names CASCADE")


@pytest.fixture
def copy(root: TableRoot, tmp_path: Path) -> Path:
    """A root with one table, for a test to move."""
    shutil.copytree(Path(root.path) / "runs", tmp_path / "copy" / "runs")
    return tmp_path / "copy"


def rows_of(spark, query: str) -> list[tuple]:
    return [tuple(found) for found in spark.sql(query).collect()]


def test_registered_tables_are_those_of_the_root(spark, views: str) -> None:
    for table, rows in ROWS.items():
        assert spark.table(views + table.name).count() == len(rows)
        assert spark.table(views + table.name).columns == table.schema.names


def test_mentions_are_those_of_finished_notes(spark, views: str) -> None:
    columns = "note_id, text, mention, cast(storetime AS string), note_characters"
    query = f"SELECT {columns} FROM {views}mentions"
    assert sorted(rows_of(spark, query), key=str) == [
        ("a", "Aspirin\n 81", "aspirin 81", "2150-01-02 00:00:00", 100),
        ("a", "aspirin 81", "aspirin 81", "2150-01-02 00:00:00", 100),
        ("b", "anemia", "anemia", None, 100),
        ("b", "aspirin 81", "aspirin 81", None, 100),
        ("c", "aspirin 81", "aspirin 81", None, 100),
    ]


def test_mentions_are_counted_over_notes_and_subjects(spark, views: str) -> None:
    counts = (
        "mention, mentions, notes, {}admissions, round(mean_score, 3), "
        "cast(first_charttime AS string)"
    )
    by_mention = f"SELECT {counts.format('subjects, ')} FROM {views}mention_counts"
    day_1, day_2 = "2150-01-01 00:00:00", "2150-01-02 00:00:00"
    assert sorted(rows_of(spark, by_mention)) == [
        ("anemia", 1, 1, 1, 1, 0.5, day_2),
        ("aspirin 81", 4, 3, 2, 2, 0.5, day_1),
    ]
    by_subject = f"SELECT subject_id, {counts.format('')} FROM {views}subject_mentions"
    assert sorted(rows_of(spark, by_subject), key=str) == [
        (1, "anemia", 1, 1, 1, 0.5, day_2),
        (1, "aspirin 81", 3, 2, 2, 0.5, day_1),
        (2, "aspirin 81", 1, 1, 0, 0.5, None),
    ]


def test_every_note_has_its_counts(spark, views: str) -> None:
    query = f"SELECT note_id, entities, entities_by_type FROM {views}note_counts"
    assert sorted(rows_of(spark, query)) == [
        ("a", 2, {"drug": 2}),
        ("b", 2, {"drug": 1, "disease": 1}),
        ("blank", 0, {}),
        ("c", 1, {"drug": 1}),
        ("unfinished", 0, {}),
    ]


def test_runs_and_refusals_are_summed_up(spark, views: str) -> None:
    figures = "worked_notes, quarantined_fraction, notes_per_second, wordpieces_per_second"
    query = f"SELECT run_id, status, {figures} FROM {views}run_overview"
    assert sorted(rows_of(spark, query)) == [
        ("r1", "done", 8, 0.1, 2.0, 250.0),
        ("r2", "running", None, None, None, None),
    ]
    query = f"SELECT rule, refused_rows, notes, open_rows FROM {views}quarantine_overview"
    assert sorted(rows_of(spark, query)) == [("no_note_id", 1, 0, 1), ("too_long", 2, 2, 1)]


@pytest.mark.whole
@pytest.mark.both_lanes
def test_a_repeat_keeps_what_stands_and_mends_what_moved(spark, schema: str, copy: Path) -> None:
    def register(place: Path) -> list[tuple[str, str]]:
        entries = register_tables(spark, str(place), Names(schema))
        return [(entry.name, entry.state) for entry in entries]

    runs, overview = f"{schema}.runs", f"{schema}.run_overview"
    # What the root does not have is left out, and the views that would read it.
    assert register(copy) == [(runs, "new"), (overview, "new")]
    assert register(copy) == [(runs, "kept"), (overview, "replaced")]
    moved = copy.rename(copy.with_name("moved"))
    assert register(moved) == [(runs, "moved"), (overview, "replaced")]
    assert spark.table(overview).count() == 2
    # From one root to another, while both are there: the files of both stay.
    other = Path(shutil.copytree(moved, moved.with_name("other")))
    assert register(other) == [(runs, "moved"), (overview, "replaced")]
    location = spark.sql(f"DESCRIBE DETAIL {runs}").first()["location"]
    assert location.endswith("/other/runs")
    assert (moved / "runs" / "_delta_log").is_dir()


@pytest.mark.parametrize(
    ("taken", "statement"),
    [
        ("entities", "CREATE TABLE {} (note_id STRING) USING delta"),
        ("entities", "CREATE VIEW {} AS SELECT 1 AS note_id"),
        ("runs", "CREATE TABLE {} (own INT) USING delta LOCATION '{place}'"),
        ("runs", "CREATE TABLE {} (run_id STRING) USING parquet LOCATION '{place}'"),
        ("run_overview", "CREATE VIEW {} AS SELECT 1 AS run_id"),
        ("mentions", "CREATE TABLE {} (note_id STRING) USING delta"),
    ],
)
def test_names_of_others_are_left_alone(
    spark, schema: str, root: TableRoot, tmp_path: Path, taken: str, statement: str
) -> None:
    spark.sql(f"CREATE SCHEMA {schema}")
    spark.sql(statement.format(f"{schema}.{taken}", place=tmp_path / "own"))
    columns = spark.table(f"{schema}.{taken}").columns
    with pytest.raises(InputError, match=f"{schema}.{taken} is taken"):
        register_tables(spark, root.path, Names(schema))
    names = spark.sql(f"SHOW TABLES IN {schema}").filter("NOT isTemporary")
    assert [row.tableName for row in names.collect()] == [taken]
    assert spark.table(f"{schema}.{taken}").columns == columns


def test_a_place_without_tables_is_refused_and_makes_nothing(
    spark, schema: str, tmp_path: Path
) -> None:
    spark.range(1).write.parquet(str(tmp_path / "entities"))
    with pytest.raises(InputError, match="no tables at"):
        register_tables(spark, str(tmp_path), Names(schema))
    assert not spark.catalog.databaseExists(schema)
    assert not (tmp_path / "runs").exists()


def test_a_catalog_that_is_not_there_is_refused(spark, root: TableRoot) -> None:
    with pytest.raises(InputError, match=r"schema nowhere\.clinspan is not there"):
        register_tables(spark, root.path, Names("nowhere.clinspan"))


@pytest.mark.parametrize(
    ("schema", "prefix"),
    [
        ("", ""),
        ("a b", ""),
        ("a`b", ""),
        ("a'b", ""),
        ("a;DROP TABLE b", ""),
        ("a.b.c", ""),
        ("a.", ""),
        ("1a", ""),
        ("a\n", ""),
        ("a", "x`"),
        ("a", "x.y"),
        ("a", "x;"),
        ("a", "1"),
    ],
)
def test_names_that_are_none_are_refused(schema: str, prefix: str) -> None:
    with pytest.raises(InputError, match="must be"):
        Names(schema, prefix)


def test_a_catalog_in_memory_does_not_last(spark) -> None:
    assert not is_lasting(spark, Names("clinspan"))
    assert not is_lasting(spark, Names("spark_catalog.clinspan"))
    assert is_lasting(spark, Names("unity.clinspan"))
