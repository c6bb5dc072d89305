"""Several model packages on the same documents: scores, differences, speed, size and memory.

Owns the order of the steps, which figures are compared, and the record in MLflow: one run of the
comparison, and below it a run for each model. It records numbers, labels and digests, never text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.comparison.model_trial import Trial, try_apart
from training.corpora.corpus_mix import form_of
from training.corpora.documents import Document, digest_documents
from training.corpora.form_table import read_corpus
from training.corpora.seen_parts import refuse_seen_part
from training.evaluation.evaluation import Measured, measured
from training.evaluation.intervals import RESAMPLES, f1_difference
from training.evaluation.measures import STRICT, Counts, count_matches
from training.evaluation.strict_scores import strict_scores
from training.tracking.experiment_log import ExperimentLog
from udfs.errors import InputError
from udfs.package.model_package import MANIFEST, ModelManifest, load_manifest

THREADS = 1


@dataclass(frozen=True)
class ComparisonRequest:
    """Which packages, by their names in tables, are tried on which part of a corpus.

    Every other model is compared with the first. Each model makes `passes` passes over the
    documents; the fastest counts.
    """

    models: Mapping[str, Path]
    corpus: str
    part: str
    experiment: str
    passes: int = 1
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("there must be a --model at least")
        for name in ("passes", "resamples"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} must be at least 1")


@dataclass(frozen=True)
class ModelResult:
    """All results of one model.

    `difference` is `(rows, 3)`: strict F1 minus that of the first model, and both ends of its
    interval. The first model has None.
    """

    name: str
    manifest: ModelManifest
    strict: Measured
    difference: Counts | None
    trial: Trial
    bytes_on_disk: int


@dataclass(frozen=True)
class ModelComparison:
    """Every model on the same documents. `corpus` is the form, without the folder."""

    corpus: str
    part: str
    documents: int
    characters: int
    data_digest: str
    results: list[ModelResult]

    @property
    def title(self) -> str:
        """What was compared on what."""
        return f"{self.corpus} {self.part}: {self.documents} documents"


def compare_models(
    request: ComparisonRequest, on_model: Callable[[str], None] = lambda name: None
) -> ModelComparison:
    """Tries each model in a process of its own and compares them.

    Calls `on_model` with the name of each model before it is tried.

    Raises:
        InputError: a package or the corpus cannot be used, or a model was trained on the part. It
            is raised before any model is tried.
    """
    manifests = {name: load_manifest(folder) for name, folder in request.models.items()}
    documents = read_corpus(request.corpus, [request.part])
    for manifest in manifests.values():
        refuse_seen_part(manifest, request.corpus, request.part)
    trials = {}
    for name, folder in request.models.items():
        on_model(name)
        trials[name] = try_apart(folder, request.corpus, request.part, request.passes)
    return ModelComparison(
        corpus=form_of(request.corpus),
        part=request.part,
        documents=len(documents),
        characters=sum(len(document.text) for document in documents),
        data_digest=digest_documents(documents),
        results=_results(request, documents, manifests, trials),
    )


def _results(
    request: ComparisonRequest,
    documents: list[Document],
    manifests: Mapping[str, ModelManifest],
    trials: Mapping[str, Trial],
) -> list[ModelResult]:
    # All models need the same rows: else a difference would subtract one label from another.
    labels = {s.label for trial in trials.values() for spans in trial.spans for s in spans}
    counts = {
        name: count_matches(documents, trial.spans, [STRICT], labels)[STRICT]
        for name, trial in trials.items()
    }
    first = next(iter(counts))
    return [
        ModelResult(
            name=name,
            manifest=manifests[name],
            strict=measured(counts[name], request.resamples),
            difference=None
            if name == first
            else f1_difference(counts[first], counts[name], request.resamples),
            trial=trial,
            bytes_on_disk=_bytes_on_disk(request.models[name], manifests[name]),
        )
        for name, trial in trials.items()
    ]


def _bytes_on_disk(folder: Path, manifest: ModelManifest) -> int:
    return sum((folder / name).stat().st_size for name in (MANIFEST, *manifest.files))


def costs(result: ModelResult) -> dict[str, float]:
    """What a model costs; the keys name the units."""
    trial = result.trial
    return {
        "characters_per_second": round(trial.characters_per_second, 1),
        "documents_per_second": round(trial.documents_per_second, 3),
        "units_per_second": round(trial.units_per_second, 1),
        "load_seconds": round(trial.load_seconds, 2),
        "parameters": trial.parameters,
        "megabytes_on_disk": round(result.bytes_on_disk / 1e6, 2),
        "peak_memory_mib": round(trial.peak_mib, 1),
    }


def log_comparison(request: ComparisonRequest, done: ModelComparison, files: Path) -> None:
    """Records a comparison in MLflow, with the files in the folder `files`."""
    shared = {
        "corpus": done.corpus,
        "part": done.part,
        "documents": done.documents,
        "test_data_digest": done.data_digest,
        "threads": THREADS,
        "passes": request.passes,
    }
    names = [result.name for result in done.results]
    parameters = {**shared, "models": ", ".join(names)}
    with ExperimentLog(request.experiment, "comparison of models", parameters) as parent:
        for result in done.results:
            own = _facts(result.manifest)
            with ExperimentLog(
                request.experiment, result.name, {**shared, **own}, parent_run_id=parent.run_id
            ) as log:
                _log_numbers(log, done.part, result)
        parent.log_files(files, "comparison")


def _facts(manifest: ModelManifest) -> dict[str, Any]:
    return {
        "model": manifest.name,
        "model_fingerprint": manifest.fingerprint,
        "base_model": manifest.base_model,
        "training_data_digest": manifest.training_data_digest,
    }


def _log_numbers(log: ExperimentLog, part: str, result: ModelResult) -> None:
    log.log_scores(part, strict_scores(result.strict.counts), 0)
    for name, value in costs(result).items():
        log.log_metric(name, value, 0)
    for i, row in enumerate(result.strict.counts.rows):
        low, high = result.strict.intervals[i, 2]
        log.log_metric(f"{part}/{row}/f1_low", low, 0)
        log.log_metric(f"{part}/{row}/f1_high", high, 0)
        if result.difference is not None:
            for name, value in zip(("f1", "f1_low", "f1_high"), result.difference[i], strict=True):
                log.log_metric(f"difference/{row}/{name}", value, 0)
