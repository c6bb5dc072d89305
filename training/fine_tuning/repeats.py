"""The same training with several seeds: how much scores vary, and the package of the best seed.

The best seed is chosen on the development part. Each seed is a run of its own below one run of the
experiment. After a kill, seeds that are done are not trained again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

from training.evaluation.measures import OVERALL
from training.evaluation.strict_scores import Scores
from training.fine_tuning.run_observer import Progress
from training.fine_tuning.training_run import identify, run_training
from training.loop.checkpoints import Checkpoints, remove_work_folder, work_folder
from training.loop.processes import ONE_PROCESS, Processes
from training.recipes.recipe import Recipe
from training.recipes.training_request import JUDGED_PART, TrainingRequest
from training.tracking.experiment_log import ExperimentLog
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest, load_manifest


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of one label's F1 over the seeds."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Repeats:
    """The package of the best seed, and the scores of all: seed -> part -> label -> F1."""

    manifest: ModelManifest
    best_seed: int
    f1: Mapping[int, Mapping[str, Mapping[str, float]]]

    def spread(self, part: str) -> dict[str, Spread]:
        """The spread of each label on a part; the micro average comes last.

        Where a run neither had a label in gold nor found it, its F1 counts as 0.
        """
        runs = [parts[part] for parts in self.f1.values()]
        named = {label for run in runs for label in run} - {OVERALL}
        labels = [*sorted(named), OVERALL]
        values = {label: [run.get(label, 0.0) for run in runs] for label in labels}
        return {label: Spread(mean(of), stdev(of)) for label, of in values.items()}


def run_repeats(
    request: TrainingRequest,
    recipe: Recipe,
    seeds: Sequence[int],
    experiment: str,
    progress: Progress,
    on_seed: Callable[[int], None],
    processes: Processes = ONE_PROCESS,
) -> Repeats | None:
    """Trains once with each seed and keeps the package of the best.

    `on_seed` gets each seed before its training begins. Of several processes, only the first
    returns a result.

    Raises:
        InputError: there are fewer than two seeds, a seed is given twice, or the development part
            is not scored.
    """
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds {list(seeds)} must be two different ones at least")
    request.check_judged("the best seed")
    work = work_folder(request.output)
    done = Checkpoints(work, {**identify(request, recipe, processes), "seed": None})
    saved = done.load()
    f1: dict[int, dict[str, dict[str, float]]] = (
        {} if saved is None else {int(seed): parts for seed, parts in saved.values.items()}
    )
    parameters = {"seeds": ",".join(map(str, seeds)), "corpus": request.mix.forms}
    with contextlib.ExitStack() as stack:
        log = None
        if processes.is_first:
            log = stack.enter_context(
                ExperimentLog(experiment, request.name, parameters, run_id=done.note("run_id"))
            )
            done.keep_note("run_id", log.run_id)
        for number, seed in enumerate(seeds, start=1):
            if seed in f1:
                continue
            on_seed(seed)
            output = work / f"seed-{seed}"
            if processes.is_first:  # left by a run that was killed before its scores were kept
                shutil.rmtree(output, ignore_errors=True)
            result = run_training(
                replace(request, output=output),
                replace(recipe, seed=seed),
                experiment,
                progress,
                parent_run_id=log.run_id if log is not None else None,
                processes=processes,
            )
            if result is not None:
                f1[seed] = _f1(result.scores)
                done.save(number, {str(of): parts for of, parts in f1.items()}, {})
        if log is None:
            return None
        f1 = {seed: f1[seed] for seed in seeds}
        best = max(seeds, key=lambda seed: f1[seed][JUDGED_PART][OVERALL])
        repeats = Repeats(load_manifest(work / f"seed-{best}"), best, f1)
        for part in request.score_parts:
            for label, spread in repeats.spread(part).items():
                log.log_metric(f"{part}/{label}/f1_mean", spread.mean, len(seeds))
                log.log_metric(f"{part}/{label}/f1_deviation", spread.deviation, len(seeds))
        log.log_metric("best_seed", best, len(seeds))
        os.replace(work / f"seed-{best}", request.output)
        log.log_package(request.output)
    remove_work_folder(request.output)
    return repeats


def _f1(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    return {
        part: {label: row.f1 for label, row in score.rows().items()}
        for part, score in scores.items()
    }
