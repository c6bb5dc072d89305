"""The peers of the benchmark as functions from notes to mentions, each used as its makers show.

All run the same weights: Hugging Face's pipeline in an iterator pandas UDF (plain and tuned), in
`predict_batch_udf` and in MLflow's `spark_udf`, and Spark NLP's own annotators. None of them
knows of windows, copies, ledgers or tables; the product does not know of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf

from pipelines.scoring.spark_nlp_engine import refuse_without_jars
from udfs.benchmark.hugging_face import plain_finder, tuned_finder

# `note_id, text` → `note_id, found`.
Peer = Callable[[DataFrame], DataFrame]
FOUND = T.ArrayType(
    T.StructType(
        [
            T.StructField("begin", T.IntegerType()),
            T.StructField("end", T.IntegerType()),
            T.StructField("label", T.StringType()),
            T.StructField("score", T.FloatType()),
        ]
    )
)


def hugging_face(folder: Path, threads: int) -> Peer:
    """The pipeline in an iterator pandas UDF, as most people write it."""
    return _in_pandas_udf(partial(plain_finder, str(folder), threads))


def hugging_face_tuned(folder: Path, threads: int, batch_size: int) -> Peer:
    """The same in the processor's precision, sorted by length, with a batch size from a sweep."""
    return _in_pandas_udf(partial(tuned_finder, str(folder), threads, batch_size))


def _in_pandas_udf(load: Callable[[], Callable[[Sequence[str]], list]]) -> Peer:
    @pandas_udf(FOUND)  # type: ignore[call-overload]  # Spark's stubs do not know a type here
    def find(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        finder = load()
        for texts in batches:
            yield pd.Series(finder(texts.tolist()), dtype=object)

    return lambda notes: notes.select("note_id", find("text").alias("found"))


def predict_batch(folder: Path, threads: int) -> Peer:
    """The pipeline in Spark's `predict_batch_udf`, which cannot return records: it returns JSON."""

    def make() -> Callable[[NDArray[np.object_]], NDArray[np.object_]]:
        finder = plain_finder(str(folder), threads)

        def predict(texts: NDArray[np.object_]) -> NDArray[np.object_]:
            return np.array([json.dumps(found) for found in finder(texts.tolist())], dtype=object)

        return predict

    udf = predict_batch_udf(make, return_type=T.StringType(), batch_size=64)
    return lambda notes: notes.select("note_id", F.from_json(udf("text"), FOUND).alias("found"))


def mlflow_udf(folder: Path, workplace: Path) -> Peer:
    """MLflow's flavour for transformers in `spark_udf`: it gives labels as text, without offsets.

    Args:
        folder: the model package.
        workplace: an empty folder, for MLflow's form of the model.
    """
    import mlflow
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    parts = {
        "model": AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True),
        "tokenizer": AutoTokenizer.from_pretrained(folder, local_files_only=True),
    }
    place = workplace / "mlflow"
    # Named here; otherwise MLflow would look for packages that the model does not need.
    needed = ["torch", "transformers"]
    mlflow.transformers.save_model(
        parts, str(place), task="token-classification", pip_requirements=needed
    )

    def run(notes: DataFrame) -> DataFrame:
        udf = mlflow.pyfunc.spark_udf(notes.sparkSession, str(place), "string", env_manager="local")
        # It fails on a text without a mention (IndexError in MLflow 3.17): add one to each text.
        return notes.select("note_id", udf(F.concat("text", F.lit("\nAspirin."))).alias("found"))

    return run


def spark_nlp(onnx: Path) -> Peer:
    """Spark NLP's own annotators: sentences, tokens, the model, mentions.

    Args:
        onnx: the model package as ONNX (`training.package.onnx_export`).
    """
    import sparknlp  # type: ignore[import-untyped]  # ships no types
    from pyspark.ml import Pipeline
    from sparknlp.annotator import (  # type: ignore[import-untyped]
        BertForTokenClassification,
        NerConverter,
        SentenceDetector,
        Tokenizer,
    )

    def run(notes: DataFrame) -> DataFrame:
        refuse_without_jars(notes.sparkSession)
        document = sparknlp.DocumentAssembler().setInputCol("text").setOutputCol("document")
        sentence = SentenceDetector().setInputCols(["document"]).setOutputCol("sentence")
        token = Tokenizer().setInputCols(["sentence"]).setOutputCol("token")
        model = BertForTokenClassification.loadSavedModel(str(onnx), notes.sparkSession)
        model = model.setInputCols(["sentence", "token"]).setOutputCol("tag")
        model = model.setCaseSensitive(False).setMaxSentenceLength(512).setBatchSize(16)
        mention = NerConverter().setInputCols(["sentence", "token", "tag"]).setOutputCol("mention")
        stages = Pipeline(stages=[document, sentence, token, model, mention])
        found = F.transform(
            "mention",
            lambda m: F.struct(
                m["begin"].alias("begin"),
                (m["end"] + 1).alias("end"),
                m["metadata"]["entity"].alias("label"),
                m["metadata"]["confidence"].cast("float").alias("score"),
            ),
        )
        return stages.fit(notes).transform(notes).select("note_id", found.alias("found"))

    return run
