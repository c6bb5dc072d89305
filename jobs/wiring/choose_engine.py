"""Which engine scores the windows of a run, and the fingerprint of what it predicts."""

from __future__ import annotations

from functools import partial

from pyspark.sql import SparkSession

from conf.setting_sections import ModelSettings
from jobs.wiring.onnx_cache import cached_export
from jobs.wiring.ship_to_executors import ship_model
from pipelines.scoring.spark_nlp_engine import (
    SparkNlpEngine,
    refuse_other_environments,
    spark_nlp_fingerprint,
)
from pipelines.scoring.torch_engine import Engine, TorchEngine
from pipelines.spark.concurrency import in_background
from udfs.package.model_package import ModelPackage


def choose_engine(model: ModelSettings, package: ModelPackage) -> tuple[Engine, str]:
    """The engine that the settings name, and the fingerprint under which predictions are stored.

    Raises:
        InputError: the engine does not run in this environment, or cannot run this package.
    """
    fingerprint = package.manifest.fingerprint
    if model.engine == "spark_nlp":
        refuse_other_environments()
        engine = SparkNlpEngine(cached_export(package), package, model.tokens_per_batch)
        return engine, spark_nlp_fingerprint(fingerprint)
    torch_engine = TorchEngine(
        package=package,
        device=model.device,
        precision=model.precision,
        tokens_per_batch=model.tokens_per_batch,
        buffer_windows=model.buffer_windows,
        hang_seconds=model.hang_seconds,
    )
    return torch_engine, fingerprint


def open_engine(spark: SparkSession, engine: Engine, distribute: str) -> Engine:
    """Brings the model to where the engine runs, before anything is written; returns the engine.

    Raises:
        InputError: this session cannot run it.
    """
    if isinstance(engine, SparkNlpEngine):
        engine.load(spark)
    ready = ship_model(spark, engine, distribute)
    if isinstance(ready, TorchEngine):
        in_background(partial(ready.warm_up, spark))
    return ready
