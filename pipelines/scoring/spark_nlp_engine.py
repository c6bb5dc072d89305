"""The Spark NLP engine: the same windows, the same rows, scored in the JVM.

A BertForTokenClassification, imported from the ONNX form of a model package, tags our words.
`udfs.spark_nlp.spark_nlp_rows` makes its input, `udfs.spark_nlp.spark_nlp_answers` reads what
comes out. This is the one file of the project that reaches through Py4J into the JVM (`sparknlp`
does so all the time), so it cannot run over Spark Connect and says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyspark
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.utils import is_remote

from pipelines import schemas
from udfs.errors import InputError
from udfs.package.model_package import TOKENIZER, ModelPackage
from udfs.spark_nlp.spark_nlp_answers import rows_to_predictions
from udfs.spark_nlp.spark_nlp_rows import PIECES_PER_ROW, WindowRule, windows_to_rows

SPARK_NLP_VERSION = "5.5.3"
# The artifact that its makers name for Spark 4. We have not run it.
SPARK_4_ARTIFACT = "com.johnsnowlabs.nlp:spark-nlp_2.13:7.0.0"
# Part of the fingerprint of this engine's predictions: raise it when they change.
ENGINE_VERSION = 1
_ANNOTATOR = "com.johnsnowlabs.nlp.annotators.classifier.dl.BertForTokenClassification"
_THREADS = "spark.jsl.settings.onnx.intraOpNumThreads"
# Most positions that a BERT model of Spark NLP may have.
LONGEST_PIECE = 512
# Spark NLP counts the begins of annotations in characters and adds to them inside a word. Our words
# have at most 100 code points (200 characters of the JVM), so begins from k * 256 on mean slot k.
_SLOT = 256


def _lists(**columns: T.DataType) -> list[T.StructField]:
    return [
        T.StructField(name, T.ArrayType(kind, containsNull=False), nullable=False)
        for name, kind in columns.items()
    ]


_STRING, _INT = T.StringType(), T.IntegerType()
_PLACES = _lists(
    window_hash=_STRING,
    wordpieces=_INT,
    unread_characters=_INT,
    words=_INT,
    begins=_INT,
    ends=_INT,
    deciders=_INT,
)
TO_TAG = T.StructType([*_PLACES, *_lists(slots=_STRING, pieces=_INT)])


def spark_nlp_fingerprint(model_fingerprint: str) -> str:
    """The fingerprint of this engine's predictions.

    It differs from Torch's, so that stored predictions of the two are never mixed.
    """
    decisive = {
        "model": model_fingerprint,
        "engine": "spark_nlp",
        "spark_nlp": SPARK_NLP_VERSION,
        "version": ENGINE_VERSION,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def refuse_other_environments() -> None:
    """Refuses, before Spark starts, a Python environment that cannot run the engine.

    Raises:
        InputError: Spark Connect, another Spark than 3, or no Python side of Spark NLP.
    """
    if is_remote():
        raise InputError(
            "--engine spark_nlp works inside Spark's JVM, where Spark Connect gives no way in: use "
            "--engine torch, or start Spark without SPARK_REMOTE"
        )
    if not pyspark.__version__.startswith("3."):
        raise InputError(
            f"--engine spark_nlp needs Spark 3.5, and this is pyspark {pyspark.__version__}: its "
            f"makers name {SPARK_4_ARTIFACT} for Spark 4, a pair that has not been run by us. "
            "Use --engine torch, or the environment with Spark 3.5 (`make setup`)"
        )
    if importlib.util.find_spec("sparknlp") is None:
        raise InputError(
            f"--engine spark_nlp needs the Python package spark-nlp {SPARK_NLP_VERSION}; "
            "`make setup` installs it"
        )


@dataclass
class SparkNlpEngine:
    """Scores windows with Spark NLP in the JVM of the executors.

    Args:
        onnx: the ONNX form of the package (`training.package.onnx_export`), on the driver.
            Spark sends it to the executors.
        package: the model package, on the driver.
        tokens_per_batch: most word-pieces in one forward pass, padding included.
    """

    onnx: Path
    package: ModelPackage
    tokens_per_batch: int = 4096
    _model: tuple[str, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def __call__(self, windows: DataFrame) -> DataFrame:
        """`window_hash, text` → `schemas.PREDICTION`, one row for each."""
        model = self.load(windows.sparkSession)
        rule = WindowRule(
            # Compressed, as it travels with every task: Spark warns of tasks above 1,000 KiB.
            zlib.compress((self.package.folder / TOKENIZER).read_bytes()),
            self.package.manifest.max_wordpieces,
            self.package.manifest.overlap,
            self.tokens_per_batch,
        )
        rows = windows.select("window_hash", "text").mapInArrow(
            partial(windows_to_rows, rule=rule), TO_TAG
        )
        tagged = model.transform(
            rows.select(
                *(F.col(part.name) for part in _PLACES),
                _annotations("document", _documents()),
                _annotations("token", _tokens()),
            )
        )
        answers = tagged.select(
            *(F.col(part.name) for part in _PLACES),
            F.transform("tag", lambda a: (a["begin"] / _SLOT).cast("int")).alias("tagged"),
            F.flatten(F.transform("tag", self._probabilities)).alias("probabilities"),
        )
        return answers.mapInArrow(
            partial(
                rows_to_predictions,
                scheme=self.package.manifest.scheme,
                calibration=self.package.manifest.calibration,
            ),
            schemas.PREDICTION,
        )

    def _probabilities(self, annotation: Column) -> Column:
        """The probabilities of all labels, which stand as text in the metadata of a tag."""
        return F.array(
            *(annotation["metadata"][label].cast("float") for label in self.package.manifest.labels)
        )

    def load(self, spark: SparkSession) -> Any:
        """The annotator in the JVM of this session, imported at the first call.

        Raises:
            InputError: this Spark cannot run it, its jars are not on the class path, or the model
                reads more word-pieces than Spark NLP allows; nothing was written.
        """
        refuse_other_environments()
        application = spark.sparkContext.applicationId
        if self._model is None or self._model[0] != application:
            self._model = (application, self._import(spark))
        return self._model[1]

    def _import(self, spark: SparkSession) -> Any:
        manifest = self.package.manifest
        if manifest.max_wordpieces > LONGEST_PIECE:
            raise InputError(
                f"the model {manifest.name} reads {manifest.max_wordpieces} word-pieces "
                f"at a time, Spark NLP at most {LONGEST_PIECE}: use --engine torch"
            )
        refuse_without_jars(spark)
        from sparknlp.annotator import (  # type: ignore[import-untyped]  # ships no types
            BertForTokenClassification,
        )

        if spark.conf.get(_THREADS, None) is None:
            # A task has a core (spark.task.cpus); the default of six threads would compete for it.
            spark.conf.set(_THREADS, spark.conf.get("spark.task.cpus", "1") or "1")
        model = BertForTokenClassification.loadSavedModel(str(self.onnx), spark)
        return (
            model.setInputCols(["document", "token"])
            .setOutputCol("tag")
            .setCaseSensitive(True)
            .setMaxSentenceLength(manifest.max_wordpieces)
            .setBatchSize(PIECES_PER_ROW)
        )


def refuse_without_jars(spark: SparkSession) -> None:
    """Refuses a session whose JVM cannot find Spark NLP.

    Raises:
        InputError: the jars of Spark NLP are not on the class path.
    """
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # ships no types

    loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
    try:
        loader.loadClass(_ANNOTATOR)
    except Py4JJavaError:
        raise InputError(
            "the jars of Spark NLP are not on the class path of Spark. "
            "`make spark-nlp` puts them there, once; a run never fetches anything"
        ) from None


def _annotations(name: str, column: Column) -> Column:
    """Marks a column as Spark NLP's own, which it recognises by the type in the metadata."""
    return column.alias(name, metadata={"annotatorType": name})


def _tokens() -> Column:
    return F.transform(
        "slots",
        lambda word, k: _annotation("token", k * _SLOT, (k + 1) * _SLOT - 1, word, F.create_map()),
    )


def _documents() -> Column:
    """One document for each piece; Spark NLP reads only the tokens between its ends, no text."""

    def document(begin: Column, k: Column) -> Column:
        next_begin = F.coalesce(F.get("pieces", k + 1), F.size("slots"))
        return _annotation(
            "document",
            begin * _SLOT,
            next_begin * _SLOT - 1,
            F.lit(""),
            F.create_map(F.lit("sentence"), k.cast("string")),
        )

    return F.transform("pieces", document)


def _annotation(kind: str, begin: Column, end: Column, result: Column, metadata: Column) -> Column:
    """An annotation as Spark NLP's own struct; `begin` and `end` are both inclusive."""
    return F.struct(
        F.lit(kind).alias("annotatorType"),
        begin.alias("begin"),
        end.alias("end"),
        result.alias("result"),
        metadata.cast("map<string,string>").alias("metadata"),
        F.array().cast("array<float>").alias("embeddings"),
    )
