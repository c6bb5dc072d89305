"""Reports on a training while it runs: curves and scores, to the log and to the caller.

After each epoch the model is scored as the finished package would be: it is written as a package
and scored by the production path. Knows nothing of the order of a run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from training.corpora.corpus_mix import TrainingData
from training.evaluation.package_scores import score_package
from training.evaluation.strict_scores import Scores
from training.loop.training_loop import StepReport
from training.package.package_writing import write_package
from training.recipes.training_request import JUDGED_PART
from training.tracking.experiment_log import ExperimentLog
from udfs.package.model_package import ModelManifest

LOSS_EVERY = 20  # steps that one point of the loss curve averages


@dataclass(frozen=True)
class Progress:
    """Callbacks of a run: a step and the mean loss, an epoch and its seconds, a part's scores."""

    on_step: Callable[[StepReport, float], None]
    on_epoch: Callable[[int, float], None]
    on_scores: Callable[[str, int, Scores], None]


class RunObserver:
    """Turns the loop's callbacks into curves and scores."""

    def __init__(
        self,
        base_model: Path,
        draft: ModelManifest,
        scored: Mapping[str, TrainingData],
        threads: int,
        log: ExperimentLog,
        progress: Progress,
    ) -> None:
        self._base_model = base_model
        self._draft = draft
        self._scored = scored
        self._threads = threads
        self._log = log
        self._progress = progress
        self._losses: list[float] = []
        self._epoch_began = time.monotonic()

    def on_step(self, report: StepReport) -> None:
        """Reports a step; logs a point of the loss curve every `LOSS_EVERY` steps."""
        self._losses.append(report.loss)
        mean = sum(self._losses) / len(self._losses)
        self._progress.on_step(report, mean)
        if report.step % LOSS_EVERY == 0:
            self._log.log_metric("train/loss", mean, report.step)
            self._log.log_metric("train/learning_rate", report.learning_rate, report.step)
            self._losses = []

    def on_epoch(self, epoch: int, model: PreTrainedModel) -> float | None:
        """Scores the model; returns the F1 on the judged part, or None where that is not scored."""
        seconds = time.monotonic() - self._epoch_began
        self._log.log_metric("train/epoch_seconds", seconds, epoch + 1)
        self._progress.on_epoch(epoch + 1, seconds)
        scores = self.score(model)
        for part, score in scores.items():
            self._log.log_scores(part, score, epoch + 1)
            self._progress.on_scores(part, epoch + 1, score)
        self._log.flush()
        self._epoch_began = time.monotonic()
        return scores[JUDGED_PART].overall.f1 if JUDGED_PART in scores else None

    def score(self, model: PreTrainedModel) -> dict[str, Scores]:
        """The scores of each part, as the finished package would have them."""
        if not self._scored:
            return {}
        with tempfile.TemporaryDirectory(prefix="clinspan-epoch-") as scratch:
            folder = Path(scratch) / "package"
            write_package(folder, model, self._base_model, self._draft, {})
            return score_package(folder, self._scored, self._threads)
