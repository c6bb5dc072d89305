"""`clinical_entities(text)` in SQL: the entities of the main job, each text worked on once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark import cloudpickle

from pipelines import schemas
from pipelines.entity_extraction import extract_entities
from pipelines.sql_functions import register_clinical_entities
from tests.support.places import SHIPPED
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import InputError
from udfs.stages.series_entities import FIELDS

STATEMENT = "SELECT note_id, explode(clinical_entities(text)) AS entity FROM notes"

# Workers cannot import test modules: what a test sends them travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class WritingEngine:
    """An engine over a fake classifier; it writes down each text that it scores."""

    classifier_: object
    log: Path
    buffer_windows: int = 100

    def classifier(self):
        return self

    def predict(self, texts):
        with self.log.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(text) + "\n" for text in texts)
        return self.classifier_.predict(texts)

    def scored(self) -> list[str]:
        """The texts since the last call."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        self.log.write_text("", encoding="utf-8")
        return [json.loads(line) for line in lines]


@pytest.fixture
def engine(spark, tmp_path: Path, fake_classifier) -> Iterator[WritingEngine]:
    engine = WritingEngine(fake_classifier, tmp_path / "scored.jsonl")
    register_clinical_entities(spark, engine)
    yield engine
    spark.catalog.dropTempView("notes")


def view_of(spark, rows) -> None:
    spark.createDataFrame(rows, "note_id string, text string").createOrReplaceTempView("notes")


def entities(rows) -> list[tuple]:
    return sorted((row.note_id, *(row.entity[name] for name in FIELDS)) for row in rows)


def test_a_query_gives_the_entities_of_the_main_job(
    spark, samples: Path, fake_engine, engine: WritingEngine
) -> None:
    notes = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    rows = [(note["note_id"], note["text"]) for note in notes[::3]]
    view_of(spark, [*rows, ("null", None), ("blank", " \r\n")])
    found = entities(spark.sql(STATEMENT).collect())
    settings = AnnotationSettings(model="fake")
    expected = extract_entities(spark.table("notes"), fake_engine, settings=settings).collect()
    assert found == sorted((row.note_id, *(row[name] for name in FIELDS)) for row in expected)
    assert len(found) > 150


def test_null_gives_null_and_blank_gives_an_empty_array(spark, engine: WritingEngine) -> None:
    view_of(spark, [("a", None), ("b", " \t"), ("c", "aspirin")])
    query = "SELECT note_id, clinical_entities(text) AS entities FROM notes ORDER BY note_id"
    result = spark.sql(query)
    kind = result.schema["entities"].dataType
    assert (
        kind.simpleString()
        == "array<struct<begin:int,end:int,text:string,label:string,score:float>>"
    )
    assert list(kind.elementType) == [schemas.ENTITY[name] for name in FIELDS]
    first, second, third = (row.entities for row in result.collect())
    assert (first, second) == (None, [])
    assert [tuple(entity)[:4] for entity in third] == [(0, 7, "aspirin", "Chemical")]


@pytest.mark.parametrize(
    "query",
    [
        STATEMENT,
        "SELECT e.* FROM (SELECT explode(clinical_entities(text)) AS e FROM notes)",
        "SELECT e.text FROM (SELECT explode(clinical_entities(text)) AS e FROM notes) "
        "WHERE e.score > 0.1 AND e.label = 'Chemical'",
        "SELECT e FROM (SELECT clinical_entities(text) AS e FROM notes) WHERE size(e) > 0",
        "SELECT note_id, inline(clinical_entities(text)) FROM notes",
        "SELECT note_id, e.label FROM notes LATERAL VIEW explode(clinical_entities(text)) AS e",
        "SELECT note_id FROM notes WHERE size(clinical_entities(text)) > 0",
    ],
)
def test_each_text_is_worked_on_once(spark, query: str, engine: WritingEngine) -> None:
    texts = [f"Note {i} names aspirin" for i in range(6)]
    view_of(spark, [(str(i), text) for i, text in enumerate(texts)])
    assert len(spark.sql(query).collect()) == 6
    assert sorted(engine.scored()) == texts


def test_bytes_that_are_no_text_stop_the_query_without_quoting_it(
    spark, engine: WritingEngine
) -> None:
    view_of(spark, [("a", "aspirin")])
    column = "cast(concat(cast(text AS binary), unhex('FF')) AS string) AS text"
    broken = f"SELECT note_id, {column} FROM notes"
    with pytest.raises(Exception, match="UTF-8") as caught:
        spark.sql(f"SELECT clinical_entities(text) FROM ({broken})").collect()
    assert "aspirin" not in str(caught.value)
    assert "PredictionError" in str(caught.value)
    # The mend that the message names.
    text = "CASE WHEN encode(text, 'UTF-8') = cast(text AS binary) THEN text END"
    both = f"SELECT note_id, text FROM notes UNION ALL {broken}"
    rows = spark.sql(f"SELECT size(clinical_entities({text})) AS n FROM ({both})").collect()
    assert sorted(row.n for row in rows) == [-1, 1]


@pytest.mark.parametrize("name", ["", "clinical entities", "a.b", "x`y", "1x", "drop;"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="name of a function"):
        register_clinical_entities(None, "nowhere", name=name)


def test_a_missing_model_is_refused_where_the_function_is_registered(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model package"):
        register_clinical_entities(None, tmp_path / "nowhere")


@pytest.mark.whole
@pytest.mark.both_lanes
@pytest.mark.model
def test_the_shipped_model_in_sql_and_in_a_notebook(spark, samples: Path) -> None:
    """The two entrances of the README, each one line, on the same notes."""
    notes = spark.read.json(str(samples)).select("note_id", "text").limit(4).cache()
    notes.createOrReplaceTempView("notes")
    register_clinical_entities(spark, SHIPPED)
    found = entities(spark.sql(STATEMENT).collect())
    rows = extract_entities(notes, str(SHIPPED), entity_types={"chemical": "drug"}).collect()
    expected = sorted((row.note_id, *(row[name] for name in FIELDS)) for row in rows)
    assert [row[:-1] for row in found] == [row[:-1] for row in expected]
    assert [row[-1] for row in found] == pytest.approx([row[-1] for row in expected], abs=0.01)
    assert len(found) > 30
    assert {(row.label, row.entity_type) for row in rows} == {
        ("Chemical", "drug"),
        ("Disease", "disease"),
    }
    notes.unpersist()
    spark.catalog.dropTempView("notes")
