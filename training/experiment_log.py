"""What is kept of a training run: an MLflow run with parameters, curves, scores and the package's
files.

Owns where runs go and that MLflow does not phone home. Only numbers, settings and the files of the
package are logged, never the text of a document. Uses MLflow's client and no global run, so that a
caller's own MLflow session is left alone.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from training.scoring import Scores

STORE = Path("build/mlflow")  # below the current folder, unless MLFLOW_TRACKING_URI says otherwise
FLUSH_AT = 10  # points that wait at most, so that a run that dies leaves its curve
PACKAGE = "model_package"  # artifact folder


class ExperimentLog:
    """One run of an experiment; a context manager that closes it as finished or failed.

    `parent_run_id` is that of the run of which this is a part. `run_id` names a run of a training
    that was killed and goes on; where the store does not know it, there is a new one.
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
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
        from mlflow import MlflowClient
        from mlflow.entities import Param

        logging.getLogger("alembic").setLevel(logging.WARNING)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or _local_store()
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            # Of our own store we say where artifacts go: MLflow would take mlruns/ in the current
            # folder.
            place = (
                None
                if os.environ.get("MLFLOW_TRACKING_URI")
                else (STORE.resolve() / "artifacts").as_uri()
            )
            experiment_id = self._client.create_experiment(experiment, artifact_location=place)
        else:
            experiment_id = found.experiment_id
        self.tracking_uri = uri
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
        """Keeps one point of a curve; it is sent with the next `flush`."""
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

    def log_package(self, folder: Path) -> None:
        """Copies the package's files; they can be registered and loaded without unpickling
        anything.
        """
        self._client.log_artifacts(self.run_id, str(folder), PACKAGE)

    def flush(self) -> None:
        """Sends what waits."""
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


def _local_store() -> str:
    STORE.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(STORE / 'mlflow.db').resolve()}"
