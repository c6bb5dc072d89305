"""The MLflow run of a training or a promotion: parameters, curves, scores and the model.

Only numbers, settings and the files of the package are logged, never the text of a document. Where
they are stored, `training/tracking/mlflow_store.py` decides.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from training.evaluation.strict_scores import Scores
from training.mlflow_model import MODEL, write_mlflow_model
from training.tracking.mlflow_store import (
    open_client,
    own_artifacts,
    tracking_address,
    tracking_faults,
)

FLUSH_AT = 10  # most points that wait to be sent: a run that dies loses only these


class ExperimentLog:
    """One run of an experiment; a context manager that closes it as finished or failed.

    `parent_run_id` is the id of the run that this one is a part of. `run_id` is the run of a killed
    training that is resumed; where the store does not know it, a new run is made.
    """

    def __init__(
        self,
        experiment: str,
        run_name: str,
        parameters: Mapping[str, Any],
        *,
        parent_run_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        self._client = open_client()
        from mlflow.entities import Param

        with tracking_faults(f"experiment {experiment}"):
            found = self._client.get_experiment_by_name(experiment)
        if found is None:
            # For our own store we name the folder for artifacts: MLflow would use mlruns/ in the
            # current folder.
            experiment_id = self._client.create_experiment(
                experiment, artifact_location=own_artifacts()
            )
        else:
            experiment_id = found.experiment_id
        self.tracking_uri = tracking_address()
        self._waiting: list[tuple[str, float, int, int]] = []
        known = self._take_up(run_id)
        if known is not None:
            self.run_id: str = known
            return
        tags = {} if parent_run_id is None else {"mlflow.parentRunId": parent_run_id}
        run = self._client.create_run(experiment_id, run_name=run_name, tags=tags)
        self.run_id = run.info.run_id
        self._client.log_batch(
            self.run_id, params=[Param(key, str(value)) for key, value in parameters.items()]
        )

    def _take_up(self, run_id: str | None) -> str | None:
        from mlflow.exceptions import MlflowException

        if run_id is None:
            return None
        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException:
            return None
        return run_id

    def log_metric(self, name: str, value: float, step: int) -> None:
        """Adds one point of a curve; it is sent with the next `flush`."""
        name = re.sub(r"[^\w./ -]", "_", name)  # MLflow refuses other characters
        self._waiting.append((name, float(value), int(time.time() * 1000), step))
        if len(self._waiting) >= FLUSH_AT:
            self.flush()

    def log_scores(self, part: str, scores: Scores, step: int) -> None:
        """Precision, recall and F1 of every label and overall, as `devel/Chemical/f1`."""
        for label, score in scores.rows().items():
            for measure in ("precision", "recall", "f1"):
                self.log_metric(f"{part}/{label}/{measure}", getattr(score, measure), step)
        self.flush()

    def log_package(self, folder: Path) -> str:
        """Logs the package as a model of MLflow; returns its address, for the registry."""
        with tempfile.TemporaryDirectory(prefix="clinspan-model-") as scratch:
            write_mlflow_model(folder, Path(scratch) / MODEL)
            self.log_files(Path(scratch) / MODEL, MODEL)
        artifacts = self._client.get_run(self.run_id).info.artifact_uri
        return f"{artifacts}/{MODEL}"

    def log_files(self, folder: Path, place: str) -> None:
        """Copies the files of a folder to that place among the run's artifacts."""
        self._client.log_artifacts(self.run_id, str(folder), place)

    def flush(self) -> None:
        """Sends the points that wait."""
        from mlflow.entities import Metric

        if self._waiting:
            self._client.log_batch(self.run_id, metrics=[Metric(*point) for point in self._waiting])
            self._waiting = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()
        self._client.set_terminated(self.run_id, "FINISHED" if kind is None else "FAILED")
