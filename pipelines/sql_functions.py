"""`clinical_entities(text)` in SQL: one call registers the function for a session.

It is an iterator pandas UDF over `udfs.stages.series_entities`: each Python worker loads the
model once. The function writes nothing and knows no tables; the main job is the way to process a
whole source, because it scores a copied window once for all notes and keeps what it scored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Protocol

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf

from pipelines import schemas
from pipelines.scoring.torch_engine import TorchEngine
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import InputError
from udfs.spans import Classifier
from udfs.stages.series_entities import FIELDS, entities_of_texts

ENTITY_LIST = T.ArrayType(
    T.StructType([schemas.ENTITY[name] for name in FIELDS]), containsNull=False
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class WorkerEngine(Protocol):
    """What a SQL function needs of an engine: the model itself, inside a Python worker."""

    @property
    def buffer_windows(self) -> int:
        """Windows that are collected before they are scored."""
        ...

    def classifier(self) -> Classifier:
        """Returns the model; called on a worker at the start of each task (see `TorchEngine`)."""
        ...


def register_clinical_entities(
    spark: SparkSession,
    model: str | PathLike[str] | WorkerEngine,
    settings: AnnotationSettings | None = None,
    name: str = "clinical_entities",
) -> None:
    """Registers the function for this session.

    `SELECT note_id, explode(clinical_entities(text)) FROM notes` then gives the entities that the
    main job writes with the same model and settings, as structs of begin, end, text, label, score.
    A null text gives null and a blank one an empty array; `explode` drops both.

    Args:
        spark: the session.
        model: the folder of a model package, or an engine with a model in Python workers.
        settings: filters; None keeps every entity.
        name: the name of the function.

    Raises:
        InputError: a function cannot have this name, or the model package is not usable.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a function: it must be ASCII letters, digits and _, "
            "not led by a digit"
        )
    engine = TorchEngine.from_package(model) if isinstance(model, str | PathLike) else model
    # The model may be nameless here: no column of the result holds its name.
    function = _function(engine, settings or AnnotationSettings(model=""))
    udf = pandas_udf(function, ENTITY_LIST)  # type: ignore[call-overload]
    # Spark may compute a deterministic function twice, in a filter and again in the projection.
    spark.udf.register(name, udf.asNondeterministic())


def _function(
    engine: WorkerEngine, settings: AnnotationSettings
) -> Callable[[Iterator[pd.Series]], Iterator[pd.Series]]:
    def clinical_entities(texts: Iterator[pd.Series]) -> Iterator[pd.Series]:
        return entities_of_texts(texts, engine.classifier(), settings, engine.buffer_windows)

    return clinical_entities
