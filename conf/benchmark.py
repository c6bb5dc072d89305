"""The typed settings of the benchmark; `benchmark.yaml` says what each means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from conf.faults import SettingsError
from conf.layers import Layer, parse_overrides, stack
from conf.shipped_model import shipped_model
from conf.strict_yaml import read_mapping

PeerName = Literal[
    "hugging_face", "hugging_face_tuned", "predict_batch_udf", "mlflow_spark_udf", "spark_nlp"
]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Package = Annotated[
    Path, BeforeValidator(lambda given: shipped_model() if given is None else given)
]


class BenchmarkSettings(BaseModel):
    """Everything that a benchmark needs; paths are relative to the working directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Package
    cores: Count
    notes: Path | None
    peer_notes: Count
    corpus: str | None
    corpus_documents: Count
    peers: tuple[PeerName, ...]
    batch_sizes: Annotated[tuple[Count, ...], Field(min_length=1)]
    sizes: tuple[Count, ...]
    copied: tuple[Share, ...]
    copies_notes: Count


def load_benchmark(path: Path, overrides: Sequence[str] = ()) -> BenchmarkSettings:
    """Reads the settings of a benchmark.

    Args:
        path: a YAML file that sets every key.
        overrides: `key=value` texts that override the file.

    Raises:
        SettingsError: the file is missing, or a value is impossible.
    """
    given, faults = parse_overrides(overrides)
    if faults:
        raise SettingsError(*faults)
    values, origins = stack([Layer(str(path), read_mapping(path)), given])
    try:
        return BenchmarkSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(
            *(
                f"{'.'.join(str(part) for part in fault['loc'])} "
                f"(from {origins.get(str(fault['loc'][0]), path)}): {fault['msg']}"
                for fault in error.errors()
            )
        ) from None
