"""The entrance of a notebook: little to say, and what cannot work is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.entity_extraction import extract_entities
from pipelines.scoring.torch_engine import TorchEngine
from tests.support.places import SHIPPED
from udfs.annotation.steps import AnnotationSettings
from udfs.classifiers.model_loading import check_package
from udfs.errors import InputError, ModelPackageError

SETTINGS = AnnotationSettings(model="fake")


def test_ids_of_numbers_other_case_and_further_columns_serve(spark, fake_engine) -> None:
    rows = [(7, "aspirin for anemia", True), (8, None, False)]
    notes = spark.createDataFrame(rows, "NOTE_ID bigint, Text string, seen boolean")
    types = {"chemical": "drug"}
    found = extract_entities(notes, fake_engine, settings=SETTINGS, entity_types=types).collect()
    assert sorted((r.note_id, r.begin, r.end, r.text, r.label, r.entity_type) for r in found) == [
        ("7", 0, 7, "aspirin", "Chemical", "drug"),
        ("7", 12, 18, "anemia", "Disease", "disease"),
    ]


def test_ids_that_are_not_unique_are_refused(spark, fake_engine) -> None:
    rows = [("a", "canary"), ("a", "canary 2"), ("b", "canary"), (None, "canary")]
    notes = spark.createDataFrame(rows, "note_id string, text string")
    with pytest.raises(InputError, match="2 note_ids") as caught:
        extract_entities(notes, fake_engine, settings=SETTINGS)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "columns",
    ["note_id string, body string", "row_id string, text string", "note_id int, text int"],
)
def test_columns_that_are_missing_or_no_text_are_refused(spark, columns: str, fake_engine) -> None:
    notes = spark.createDataFrame([], columns)
    with pytest.raises(InputError, match="note_id and text, a string; they have: "):
        extract_entities(notes, fake_engine, settings=SETTINGS)


def test_an_engine_without_a_model_name_needs_settings(fake_engine) -> None:
    with pytest.raises(InputError, match="settings=AnnotationSettings"):
        extract_entities(None, fake_engine)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelPackageError, match="not a model package"):
        extract_entities(None, tmp_path)


@pytest.mark.model
def test_an_engine_knows_its_package() -> None:
    engine = TorchEngine.from_package(SHIPPED, device="cpu")
    assert (engine.package, engine.device) == (check_package(SHIPPED), "cpu")
    assert len(engine.fingerprint) == 64
