"""The peers in Spark: every kind of UDF gives the mentions of the pipeline itself."""

import pytest

from pipelines.benchmark import peers
from tests.support.places import SHIPPED
from udfs.benchmark.hugging_face import plain_finder, tuned_finder

pytestmark = pytest.mark.model
TEXTS = {"a": "Aspirin for headache, no nausea.", "b": "", "c": "Took ibuprofen 400 mg for fever."}


def expected_of(kind):
    finder = tuned_finder(str(SHIPPED), 1, 2) if kind == "tuned" else plain_finder(str(SHIPPED), 1)
    found = finder(list(TEXTS.values()))
    return {
        note_id: [(m["begin"], m["end"], m["label"]) for m in mentions]
        for note_id, mentions in zip(TEXTS, found, strict=True)
    }


@pytest.mark.whole
@pytest.mark.parametrize("kind", ["plain", "tuned", "predict_batch"])
def test_a_peer_finds_what_the_pipeline_finds(spark, kind):
    find = {
        "plain": lambda: peers.hugging_face(SHIPPED, 1),
        "tuned": lambda: peers.hugging_face_tuned(SHIPPED, 1, 2),
        "predict_batch": lambda: peers.predict_batch(SHIPPED, 1),
    }[kind]()
    notes = spark.createDataFrame(list(TEXTS.items()), "note_id string, text string").coalesce(1)
    found = {
        row["note_id"]: [(m["begin"], m["end"], m["label"]) for m in row["found"]]
        for row in find(notes).collect()
    }
    assert found == expected_of(kind)
    assert {label for mentions in found.values() for *_, label in mentions} == {
        "Chemical",
        "Disease",
    }
