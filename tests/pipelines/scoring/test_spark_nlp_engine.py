"""The Spark NLP engine: what refuses it, and that it finds what the Torch engine finds."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pyspark
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from conf.spark_nlp_jars import SPARK_LINE, SPARK_NLP_JARS
from jobs.set_up.set_up_spark import find_spark_home, missing_jars
from pipelines import schemas
from pipelines.scoring import spark_nlp_engine
from pipelines.scoring.spark_nlp_engine import SparkNlpEngine, refuse_other_environments
from pipelines.scoring.torch_engine import TorchEngine
from tests.support.places import SHIPPED
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest, ModelPackage, load_manifest
from udfs.spark_nlp import spark_nlp_rows

WHOLE = 254  # word-pieces that the shipped model reads at a time
ODD = [
    "Naïve to opioids 😀😀 aspirin 81 mg\r\nand 𝒶spirin; fever",
    "metformin\x00 and diabe\u0301tes\u0301 mellitus \u0301, cafe\u0301ine",
    "疼痛 fever 🤒 β-blocker [SEP] asthma [UNK] \ue000 aspirin",
    "x" * 130 + " penicillin " + "ab" * 60 + " rash",
    "😀",
]


def test_rows_are_told_to_spark_as_arrow_builds_them() -> None:
    assert to_arrow_schema(spark_nlp_engine.TO_TAG) == spark_nlp_rows.TO_TAG


def test_spark_4_is_refused_with_the_artifact_that_nobody_here_has_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pyspark, "__version__", "4.2.0")
    with pytest.raises(InputError, match=r"pyspark 4\.2\.0.*spark-nlp_2\.13:7\.0\.0.*not been run"):
        refuse_other_environments()


def test_spark_connect_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_nlp_engine, "is_remote", lambda: True)
    engine = SparkNlpEngine(
        Path("onnx"), ModelPackage(SHIPPED, ModelManifest("m", ("O", "B-X"), {}))
    )
    with pytest.raises(InputError, match="Spark Connect gives no way in: use --engine torch"):
        engine.load(SimpleNamespace())


def test_a_missing_python_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyspark, "__version__", "3.5.9")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"spark-nlp 5\.5\.3; `make setup` installs it"):
        refuse_other_environments()


@pytest.fixture
def on_spark_3(spark) -> None:
    if not pyspark.__version__.startswith(f"{SPARK_LINE}."):
        pytest.skip(f"Spark NLP is for Spark {SPARK_LINE} here")


def test_missing_jars_and_too_long_a_model_are_told(on_spark_3, spark, monkeypatch) -> None:
    monkeypatch.setattr(spark_nlp_engine, "_ANNOTATOR", "com.johnsnowlabs.nlp.Absent")
    manifest = ModelManifest("m", ("O", "B-X"), {})
    with pytest.raises(InputError, match="`make spark-nlp` puts them there, once"):
        SparkNlpEngine(Path("onnx"), ModelPackage(SHIPPED, manifest)).load(spark)
    long = ModelManifest("m", ("O", "B-X"), {}, max_wordpieces=513)
    with pytest.raises(InputError, match="reads 513 word-pieces at a time, Spark NLP at most 512"):
        SparkNlpEngine(Path("onnx"), ModelPackage(SHIPPED, long)).load(spark)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SparkNlpEngine:
    """The engine with the shipped model, exported here."""
    if not pyspark.__version__.startswith(f"{SPARK_LINE}."):
        pytest.skip(f"Spark NLP is for Spark {SPARK_LINE} here")
    if missing_jars(SPARK_NLP_JARS, find_spark_home() / "jars"):
        pytest.skip("the jars of Spark NLP are not set up: `make spark-nlp` does it")
    from training.package.onnx_export import export_package

    onnx = tmp_path_factory.mktemp("export") / "onnx"
    export_package(SHIPPED, onnx)
    return SparkNlpEngine(onnx, ModelPackage(SHIPPED, load_manifest(SHIPPED)))


@pytest.mark.model
def test_both_engines_find_the_same_in_the_samples_and_in_odd_texts(
    engine: SparkNlpEngine, spark, samples: Path
) -> None:
    lines = samples.read_text(encoding="utf-8").splitlines()
    notes = [json.loads(line)["text"] for line in lines]
    # Whole notes: longer than the model's maximum, so that pieces are cut as well.
    texts = [*ODD, *notes[:3], "", " \r\n"]
    texts += [line for note in notes[3:9] for line in note.splitlines() if line.strip()]
    rows = [(f"{i:06d}", text) for i, text in enumerate(texts)]
    windows = spark.createDataFrame(rows, "window_hash string, text string").repartition(2)
    answers = engine(windows)
    assert answers.schema == schemas.PREDICTION
    found = {row.window_hash: row for row in answers.collect()}
    torch = TorchEngine(engine.package, device="cpu", precision="float32")
    expected = {row.window_hash: row for row in torch(windows).collect()}
    assert len(found) == len(expected) == len(texts)
    for window_hash, _ in rows:
        one, other = found[window_hash], expected[window_hash]
        assert (one.wordpieces, one.unread_characters) == (
            other.wordpieces,
            other.unread_characters,
        ), window_hash
        assert [s[:3] for s in one.spans] == [s[:3] for s in other.spans], window_hash
        if one.wordpieces <= WHOLE:
            # Longer ones may be cut inside a word, whose rest Spark NLP reads as unknown.
            assert [s.score for s in one.spans] == pytest.approx(
                [s.score for s in other.spans], abs=1e-3
            ), window_hash
    assert sum(len(row.spans) for row in found.values()) > 100
    assert max(row.wordpieces for row in found.values()) > 2 * WHOLE
    assert sum(row.unread_characters for row in found.values()) > 0
