"""One training run: corpus parts and a recipe -> model package, scores and an experiment log.

Owns the order of the steps, and that nothing is scored on what it was trained on. Knows nothing of
the command line.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from training.corpora import read_corpus
from training.corpus import Document, digest_documents, labels_of
from training.experiment_log import ExperimentLog
from training.fine_tuning import StepReport, fine_tune
from training.model_package import (
    base_model_name,
    check_output_folder,
    find_base_model,
    write_package,
)
from training.recipe import Recipe
from training.scoring import Scores, predict_documents, score_documents
from udfs.devices import resolve_device
from udfs.errors import InputError
from udfs.label_scheme import bio_labels
from udfs.model_package import NAME_RULE, ModelManifest, is_name
from udfs.token_classifier import TokenClassifier

LOSS_EVERY = 20  # steps in one point of the loss curve


@dataclass(frozen=True)
class TrainingRequest:
    """What to train, on what, and where the package goes. `base_model` None: the installed one."""

    corpus: str
    train_parts: tuple[str, ...]
    score_parts: tuple[str, ...]
    output: Path
    name: str
    command: str
    base_model: Path | None = None
    threads: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        both = sorted(set(self.train_parts) & set(self.score_parts))
        if both:
            raise InputError(
                f"part {', '.join(both)} is trained on, so its scores would say nothing; "
                "name another with --score-parts, or none"
            )
        if self.threads < 1:
            raise InputError(f"threads {self.threads} must be at least 1")
        if not is_name(self.name):
            raise InputError(f"the name {self.name!r} of the model {NAME_RULE}; give --name")

    @property
    def corpus_form(self) -> str:
        """The corpus without its folder, which says nothing on another machine."""
        return self.corpus.partition(":")[0]


@dataclass(frozen=True)
class Progress:
    """Whom a run tells: steps with a mean loss, epochs with their seconds, scores of a part."""

    on_step: Callable[[StepReport, float], None]
    on_epoch: Callable[[int, float], None]
    on_scores: Callable[[str, int, Scores], None]


def run_training(
    request: TrainingRequest, recipe: Recipe, experiment: str, progress: Progress
) -> ModelManifest:
    """Reads, trains, scores and writes the package.

    Raises InputError before any of it where the request cannot be met.
    """
    check_output_folder(request.output)
    base_model = find_base_model(request.base_model)
    documents = read_corpus(request.corpus, request.train_parts)
    scored = {part: read_corpus(request.corpus, [part]) for part in request.score_parts}
    resolve_device(request.device)
    torch.set_num_threads(request.threads)
    entity_labels = labels_of(documents)
    draft = ModelManifest(
        name=request.name,
        labels=bio_labels(entity_labels),
        files={},
        max_wordpieces=recipe.max_wordpieces,
        overlap=recipe.overlap,
        base_model=base_model_name(request.base_model),
        training_data_digest=digest_documents(documents),
    )
    parameters = _parameters(request, recipe, draft, len(documents))
    with ExperimentLog(experiment, request.name, parameters) as log:
        observer = _Observer(base_model, draft, scored, request.threads, log, progress)
        model = fine_tune(
            base_model,
            documents,
            entity_labels,
            recipe,
            device=request.device,
            on_step=observer.on_step,
            on_epoch=observer.on_epoch,
        )
        facts = _card_facts(request, recipe, len(documents))
        manifest = write_package(request.output, model, base_model, draft, facts)
        log.log_package(request.output)
    return manifest


def _parameters(
    request: TrainingRequest, recipe: Recipe, draft: ModelManifest, documents: int
) -> dict[str, object]:
    return {
        **dataclasses.asdict(recipe),
        "corpus": request.corpus_form,
        "train_parts": ",".join(request.train_parts),
        "documents": documents,
        "base_model": draft.base_model,
        "training_data_digest": draft.training_data_digest,
        "threads": request.threads,
        "device": request.device,
    }


def _card_facts(request: TrainingRequest, recipe: Recipe, documents: int) -> dict[str, str]:
    parts = " + ".join(request.train_parts)
    settings = dataclasses.asdict(recipe).items()
    return {
        "Training data": f"{request.corpus_form}, {parts}: {documents} documents",
        "Command": f"`{request.command}`",
        "Recipe": ", ".join(f"{name} {value}" for name, value in settings),
    }


class _Observer:
    """Turns the loop's callbacks into curves and scores."""

    def __init__(
        self,
        base_model: Path,
        draft: ModelManifest,
        scored: dict[str, list[Document]],
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
        self._losses.append(report.loss)
        mean = sum(self._losses) / len(self._losses)
        self._progress.on_step(report, mean)
        if report.step % LOSS_EVERY == 0:
            self._log.log_metric("train/loss", mean, report.step)
            self._log.log_metric("train/learning_rate", report.learning_rate, report.step)
            self._losses = []

    def on_epoch(self, epoch: int, model: PreTrainedModel) -> None:
        seconds = time.monotonic() - self._epoch_began
        self._log.log_metric("train/epoch_seconds", seconds, epoch + 1)
        self._progress.on_epoch(epoch + 1, seconds)
        if self._scored:
            with tempfile.TemporaryDirectory(prefix="clinspan-epoch-") as scratch:
                # Through a package, so that the curve shows what the finished package would do.
                folder = Path(scratch) / "package"
                write_package(folder, model, self._base_model, self._draft, {})
                classifier = TokenClassifier.load(
                    folder, device="cpu", precision="float32", threads=self._threads
                )
            for part, documents in self._scored.items():
                scores = score_documents(documents, predict_documents(documents, classifier))
                self._log.log_scores(part, scores, epoch + 1)
                self._progress.on_scores(part, epoch + 1, scores)
        self._log.flush()
        self._epoch_began = time.monotonic()


def split_parts(parts: str) -> tuple[str, ...]:
    """`"train,devel"` -> ("train", "devel"); `"none"` -> ()."""
    names = (part.strip() for part in parts.split(","))
    return () if parts == "none" else tuple(name for name in names if name)
