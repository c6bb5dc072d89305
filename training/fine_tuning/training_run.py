"""One training run: corpora and a recipe -> model package, scores and an experiment log.

Owns the order of the steps. No model is scored on documents that it was trained on. A killed run
leaves a checkpoint and no package. Knows nothing of the command line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.corpora.corpus_mix import TrainingData, form_of
from training.corpora.seen_parts import refuse_seen_part
from training.corpora.term_lists import check_terms
from training.corpora.unlabelled_text import digest_texts
from training.encoders.base_models import base_model_name, find_base_model
from training.evaluation.package_scores import score_package
from training.evaluation.strict_scores import Scores
from training.examples.teachers import Teaching, check_teachers
from training.fine_tuning.epochs import fine_tune
from training.fine_tuning.run_observer import Progress, RunObserver
from training.loop.checkpoints import Checkpoints, check_unfinished, remove_work_folder, work_folder
from training.loop.processes import ONE_PROCESS, Processes
from training.package.ancestry import ancestors
from training.package.model_card import training_facts
from training.package.package_writing import check_output_folder, write_package
from training.recipes.recipe import Recipe
from training.recipes.training_request import JUDGED_PART, TrainingRequest
from training.tracking.experiment_log import ExperimentLog
from udfs.decoding.label_scheme import VITERBI, bio_labels
from udfs.errors import InputError
from udfs.network.devices import resolve_device
from udfs.package.model_package import WEIGHTS, ModelManifest, sha256_of


@dataclass(frozen=True)
class TrainingResult:
    """The manifest of the package that a run made, and the package's scores on each part."""

    manifest: ModelManifest
    scores: dict[str, Scores]


@dataclass(frozen=True)
class _Prepared:
    """A request whose files are read and whose settings fit together."""

    base_model: Path
    data: TrainingData
    scored: dict[str, TrainingData]
    draft: ModelManifest
    teaching: Teaching | None


def identify(
    request: TrainingRequest, recipe: Recipe, processes: Processes = ONE_PROCESS
) -> dict[str, Any]:
    """The settings and digests that tell this training from every other. Writes nothing.

    Raises:
        InputError: the request cannot be met.
    """
    return _identity(request, recipe, _prepare(request, recipe, processes), processes)


def run_training(
    request: TrainingRequest,
    recipe: Recipe,
    experiment: str,
    progress: Progress,
    *,
    parent_run_id: str | None = None,
    processes: Processes = ONE_PROCESS,
) -> TrainingResult | None:
    """Reads the corpora, trains, writes the package and scores it.

    Of several processes, all train and the first does the rest; the others return None.
    `parent_run_id` is the experiment run of which this run is a repeat.

    Raises:
        InputError: the request cannot be met (raised before any of this begins), or the training
            fails with these settings, such as by a loss that is not finite.
    """
    prepared = _prepare(request, recipe, processes)
    torch.set_num_threads(request.threads)
    checkpoints = Checkpoints(
        work_folder(request.output),
        _identity(request, recipe, prepared, processes),
        request.checkpoint_steps,
    )
    checkpoints.load()  # refuses another training's state before the log has a run of this one
    with _discarding_hopeless(request.output, processes), contextlib.ExitStack() as stack:
        observer = None
        if processes.is_first:
            log = stack.enter_context(
                ExperimentLog(
                    experiment,
                    request.name,
                    _parameters(request, recipe, prepared, processes),
                    parent_run_id=parent_run_id,
                    run_id=checkpoints.note("run_id"),
                )
            )
            checkpoints.keep_note("run_id", log.run_id)
            observer = RunObserver(
                prepared.base_model, prepared.draft, prepared.scored, request.threads, log, progress
            )
        tuned = fine_tune(
            prepared.base_model,
            prepared.data.documents,
            prepared.data.entity_labels,
            recipe,
            annotated=prepared.data.annotated,
            device=request.device,
            on_step=observer.on_step if observer is not None else None,
            on_epoch=observer.on_epoch if observer is not None else None,
            checkpoints=checkpoints,
            processes=processes,
            teaching=prepared.teaching,
            terms=request.terms,
        )
        if observer is None:
            return None
        facts = _card_facts(request, recipe, prepared, tuned.best_epoch)
        datasets = sorted({form_of(corpus) for corpus in request.corpora})
        manifest = write_package(
            request.output, tuned.model, prepared.base_model, prepared.draft, facts, datasets
        )
        scores = score_package(request.output, prepared.scored, request.threads)
        if tuned.best_epoch is not None:
            log.log_metric("best_epoch", tuned.best_epoch + 1, tuned.best_epoch + 1)
        log.log_package(request.output)
    remove_work_folder(request.output)
    return TrainingResult(manifest, scores)


def _prepare(request: TrainingRequest, recipe: Recipe, processes: Processes) -> _Prepared:
    if processes.is_first:  # the others may come after this one has written there
        check_output_folder(request.output)
        check_unfinished(request.output, request.resume)
    if recipe.patience:
        request.check_judged("patience")
    _check_shares(request, recipe)
    base_model = find_base_model(request.base_model)
    data = request.mix.read(request.train_parts)
    scored = {part: request.mix.read([part], data) for part in request.score_parts}
    resolve_device(request.device)
    check_terms(request.terms, data.entity_labels)
    tags = bio_labels(data.entity_labels)
    teaching = Teaching(request.teachers, request.unlabelled) if request.teachers else None
    if teaching is not None:
        check_teachers(teaching, base_model, tags, recipe.max_wordpieces)
    draft = ModelManifest(
        name=request.name,
        labels=tags,
        decoding=VITERBI,
        files={},
        max_wordpieces=recipe.max_wordpieces,
        overlap=recipe.overlap,
        base_model=base_model_name(request.base_model),
        training_data_digest=data.digest,
        learnt_from=tuple(ancestors(request.teachers, base_model)),
    )
    if draft.learnt_from:
        for corpus, part in itertools.product(request.corpora, request.score_parts):
            refuse_seen_part(draft, corpus, part)
    return _Prepared(base_model, data, scored, draft, teaching)


def _check_shares(request: TrainingRequest, recipe: Recipe) -> None:
    if request.teachers and not recipe.distillation:
        raise InputError("distillation must be greater than 0, or the teachers teach nothing")
    if recipe.distillation and not request.teachers:
        raise InputError(
            f"distillation {recipe.distillation} needs a teacher: give --teacher, or leave it at 0"
        )
    if request.terms and not recipe.replace_probability:
        raise InputError("replace_probability must be greater than 0, or terms are of no use")


@contextlib.contextmanager
def _discarding_hopeless(output: Path, processes: Processes) -> Iterator[None]:
    """Removes the checkpoints where an InputError shows that these settings cannot succeed."""
    try:
        yield
    except InputError:
        if processes.is_first:
            remove_work_folder(output)
        raise


def _identity(
    request: TrainingRequest, recipe: Recipe, prepared: _Prepared, processes: Processes
) -> dict[str, Any]:
    """The values that must be equal for a checkpoint to belong to this training."""
    return {
        **dataclasses.asdict(recipe),
        "labels": list(prepared.draft.labels),
        "training_data_digest": prepared.data.digest,
        "annotated": [sorted(labels) for labels in prepared.data.labels_of_corpus.values()],
        "scored_data_digests": {part: data.digest for part, data in prepared.scored.items()},
        "base_model_sha256": sha256_of(prepared.base_model / WEIGHTS),
        "processes": processes.count,
        **{f"terms {label}": digest_texts(terms) for label, terms in request.terms.items()},
        **(prepared.teaching.identity if prepared.teaching is not None else {}),
    }


def _parameters(
    request: TrainingRequest, recipe: Recipe, prepared: _Prepared, processes: Processes
) -> dict[str, object]:
    return {
        **dataclasses.asdict(recipe),
        "corpus": request.mix.forms,
        "train_parts": ",".join(request.train_parts),
        "documents": len(prepared.data.documents),
        "base_model": prepared.draft.base_model,
        "training_data_digest": prepared.draft.training_data_digest,
        "threads": request.threads,
        "device": request.device,
        "processes": processes.count,
        "learnt_from": ",".join(entry["fingerprint"] for entry in prepared.draft.learnt_from),
        "unlabelled_texts": len(request.unlabelled),
        "terms": sum(map(len, request.terms.values())),
    }


def _card_facts(
    request: TrainingRequest, recipe: Recipe, prepared: _Prepared, best_epoch: int | None
) -> dict[str, str]:
    facts = training_facts(request, len(prepared.data.documents), recipe)
    for entry in prepared.draft.learnt_from:
        fact = f"Learnt from {entry['role']} {entry['name']}"
        facts[f"{fact}, {entry['fingerprint'][:8]}"] = (
            f"fingerprint `{entry['fingerprint']}`, digest of its training data "
            f"`{entry['training_data_digest']}`"
        )
    if request.unlabelled:
        facts["Unlabelled texts"] = str(len(request.unlabelled))
    for label, terms in request.terms.items():
        facts[f"Terms of {label}"] = f"{len(terms)}, digest `{digest_texts(terms)}`"
    if best_epoch is not None:
        facts["Best epoch"] = f"{best_epoch + 1}, by the F1 on {JUDGED_PART}"
    return facts
