"""Distinct windows → predictions, by a model in Spark's Python workers.

An engine is a function from `window_hash, text` rows to prediction rows. This module knows how
Spark hands work to Python workers. `udfs.classifiers.model_loading` brings the model, and with it
torch or spaCy, on the workers only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import SparkFiles, TaskContext
from pyspark.sql import DataFrame, SparkSession

from pipelines import schemas
from pipelines.spark.slots import SLOT_ROWS, is_local
from udfs.classifiers.model_loading import check_package
from udfs.errors import ModelPackageError
from udfs.package.model_package import ModelPackage
from udfs.spans import Classifier

Engine = Callable[[DataFrame], DataFrame]
HANG_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class TorchEngine:
    """Scores windows inside Spark's Python workers, through Arrow.

    It uses torch, or spaCy if the package is one of spaCy's.

    Args:
        package: the model package on the driver and, without `archive`, at the same place on
            every executor; a worker that finds another one there refuses to work.
        device: `auto`, `cpu` or `cuda` (the GPU that Spark assigned to the task).
        precision: `auto`, `float32` or `bfloat16`.
        tokens_per_batch: most word-pieces in one forward pass, special tokens included.
        buffer_windows: windows that a worker sorts by length at a time.
        hang_seconds: a worker whose forward pass takes longer than this is ended.
        archive: the folder, below the files of each executor, into which Spark unpacked the shipped
            package (see `jobs.wiring.ship_to_executors`); None: the package is not shipped.
    """

    package: ModelPackage
    device: str = "auto"
    precision: str = "auto"
    tokens_per_batch: int = 4096
    buffer_windows: int = 4096
    hang_seconds: float = HANG_SECONDS
    archive: str | None = None

    @classmethod
    def from_package(cls, folder: str | PathLike[str], **options: Any) -> TorchEngine:
        """The engine of a model package on this machine; `options` are the other arguments.

        Raises:
            ModelPackageError: the package is missing, altered or of another architecture.
        """
        return cls(check_package(Path(folder).absolute()), **options)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the package, under which predictions are stored."""
        return self.package.manifest.fingerprint

    def __call__(self, windows: DataFrame) -> DataFrame:
        """`window_hash, text` → `schemas.PREDICTION`, one row for each."""
        return windows.select("window_hash", "text").mapInArrow(self._score, schemas.PREDICTION)

    def _score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.classifiers.isolation import IsolatedClassifier
        from udfs.classifiers.watchdog import WatchedClassifier
        from udfs.stages.arrow_stages import classify_batches

        task = TaskContext.get()
        if task is None or not task.attemptNumber():
            watched = WatchedClassifier(self.classifier(), self.hang_seconds)
            yield from classify_batches(batches, watched, self.buffer_windows)
            return
        # A task that failed before may hold a window that kills the model.
        with IsolatedClassifier(self.loader(), self.hang_seconds) as isolated:
            yield from classify_batches(batches, isolated, self.buffer_windows)

    def warm_up(self, spark: SparkSession) -> None:
        """Makes Python workers of free slots start to load the model before there is work for it.

        It does so on local masters only, where the workers are on the driver's machine and torch
        takes seconds to import. Loading goes on while notes are read and holds no slot. Elsewhere
        it does nothing, so that no executor is requested before it is known whether there is work.
        """
        if is_local(spark):
            # By default Spark makes as many partitions as slots, so no query has to count these.
            rows = spark.range(SLOT_ROWS).mapInArrow(self._load_ahead, "id long")
            rows.write.format("noop").mode("overwrite").save()

    def _load_ahead(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.classifiers.model_loading import load_ahead

        load_ahead(self.loader())
        yield from batches

    def classifier(self) -> Classifier:
        """The model in a Python worker, loaded once however many tasks and stages ask for it."""
        return self.loader()()

    def loader(self) -> Callable[[], Classifier]:
        """A function that loads the model, in this Python worker or in a process that it starts."""
        from udfs.classifiers.model_loading import load_once

        task = TaskContext.get()
        return partial(
            load_once,
            self._folder(),
            self.fingerprint,
            _assigned_device(self.device, task),
            self.precision,
            threads=task.cpus() if task else 1,
            tokens_per_batch=self.tokens_per_batch,
        )

    def _folder(self) -> Path:
        """Where the package lies on this machine."""
        if self.archive is not None:
            return Path(SparkFiles.get(self.archive))
        folder = self.package.folder
        if not folder.is_dir():
            raise ModelPackageError(
                f"no model package at {folder} on the executor {socket.gethostname()}: every "
                "machine must have it at that path, or model.distribute must be ship"
            )
        return folder


def _assigned_device(device: str, task: TaskContext | None) -> str:
    """The GPU whose address Spark gave to this task, read anew in every task.

    Raises:
        InputError: torch does not see the assigned GPU; to use the CPU would be a silent surprise.
    """
    gpus = task.resources().get("gpu") if task and device != "cpu" else None
    if not gpus:
        return device
    from udfs.network.devices import promised_gpu

    return promised_gpu(gpus.addresses[0])
