"""Train a named entity recogniser on annotated corpora and write it as a model package.

Owns the command line, the terminal and the exit code: 0 done, 1 failed, 2 bad settings or input.
The defaults are the recommended recipe.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.command_line.exit_codes import exit_code
from jobs.command_line.label_map_file import read_label_maps
from jobs.command_line.training_options import add_data_options, add_settings, read_settings
from jobs.wiring.launch_training import check_processes, is_worker, launch_workers
from training.corpora.form_table import default_corpus
from training.corpora.term_lists import read_terms
from training.corpora.unlabelled_text import read_texts
from training.recipes.recipe import Recipe
from training.recipes.training_request import TrainingRequest, split_parts

if TYPE_CHECKING:
    from training.loop.processes import Processes

JOB = "fine_tune_ner"


def build_parser() -> argparse.ArgumentParser:
    """The flags: data and places first, then one for each setting of the recipe."""
    parser = argparse.ArgumentParser(
        description="Train a named entity recogniser and write it as a model package.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add_data_options(parser)
    add("--score-parts", metavar="PARTS", default="devel", help="scored after each epoch, or none")
    add("--base-model", metavar="FOLDER", type=Path, help="an encoder (default: MiniLM)")
    add(
        "--teacher",
        metavar="PACKAGE",
        type=Path,
        action="append",
        default=[],
        help="a model package that the new one learns from too; may be given several times",
    )
    add(
        "--unlabelled",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="texts that the teachers alone label: .txt, .jsonl or a folder of them; also .gz",
    )
    add("--text-key", metavar="NAME", default="text", help="of the records of .jsonl")
    add(
        "--terms",
        metavar="LABEL=FILE",
        action="append",
        default=[],
        help="names that mentions of the label may be replaced by, one a line; .txt, also .gz; may "
        "be given several times",
    )
    add("--experiment", metavar="NAME", default="clinspan-ner", help="MLflow experiment")
    add("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="CPU threads of each")
    add("--device", metavar="NAME", default="cpu", help="cpu, cuda or cuda:INDEX")
    add(
        "--processes",
        metavar="N",
        type=int,
        default=1,
        help="so many processes on this machine share each batch, through Spark's TorchDistributor",
    )
    add(
        "--seeds", metavar="N,N", type=_numbers, help="train once with each; the best on devel wins"
    )
    add("--resume", action="store_true", help="go on with a training that was killed")
    add(
        "--checkpoint-steps",
        metavar="N",
        type=int,
        default=500,
        help="steps between two checkpoints inside an epoch, 0 for none",
    )
    add_settings(parser.add_argument_group("recipe"), Recipe)
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, trains, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    words = list(sys.argv[1:] if argv is None else argv)
    return exit_code(JOB, lambda: train(arguments, words))


def train(arguments: argparse.Namespace, words: list[str]) -> None:
    """Runs the training that the arguments ask for, and shows its progress."""
    recipe = read_settings(arguments, Recipe)
    # torch and transformers take seconds to import: --help and a refused setting need not wait.
    import transformers

    from training.fine_tuning.training_run import identify
    from training.loop.processes import join_processes

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    request = _request(arguments, words)
    if arguments.processes != 1 and not is_worker():
        check_processes(arguments.processes, arguments.device)
        identify(request, recipe)  # refuses a bad request before processes start
        launch_workers(Path(__file__), words, arguments.processes, request.output)
        return
    with join_processes() as processes:
        _run(request, recipe, arguments, processes)


def _request(arguments: argparse.Namespace, words: list[str]) -> TrainingRequest:
    return TrainingRequest(
        corpora=tuple(arguments.corpus or [default_corpus()]),
        train_parts=split_parts(arguments.train_parts),
        score_parts=split_parts(arguments.score_parts),
        output=arguments.output,
        name=arguments.name or arguments.output.resolve().name,
        command=shlex.join(["python", "jobs/fine_tune_ner.py", *words]),
        base_model=arguments.base_model,
        threads=arguments.threads,
        device=arguments.device,
        label_maps=read_label_maps(arguments.label_map),
        checkpoint_steps=arguments.checkpoint_steps,
        resume=arguments.resume,
        teachers=tuple(arguments.teacher),
        unlabelled=tuple(read_texts(arguments.unlabelled, arguments.text_key))
        if arguments.unlabelled
        else (),
        terms=read_terms(arguments.terms),
    )


def _run(
    request: TrainingRequest, recipe: Recipe, arguments: argparse.Namespace, processes: Processes
) -> None:
    from rich.console import Console

    from jobs.display.training_tables import score_table, show_step, spread_table, training_progress
    from training.fine_tuning.repeats import Repeats, run_repeats
    from training.fine_tuning.run_observer import Progress
    from training.fine_tuning.training_run import TrainingResult, run_training

    console = Console(quiet=not processes.is_first)
    with training_progress(console) as bar:
        progress = Progress(
            on_step=lambda report, loss: show_step(bar, report, loss),
            on_epoch=lambda epoch, seconds: console.print(f"epoch {epoch}: {seconds:.0f} s"),
            on_scores=lambda part, epoch, scores: console.print(
                score_table(scores, f"{part}, epoch {epoch}")
            ),
        )
        made: TrainingResult | Repeats | None
        if arguments.seeds is None:
            made = run_training(
                request, recipe, arguments.experiment, progress, processes=processes
            )
        else:
            made = run_repeats(
                request,
                recipe,
                arguments.seeds,
                arguments.experiment,
                progress,
                on_seed=lambda seed: console.print(f"seed {seed}"),
                processes=processes,
            )
    if isinstance(made, Repeats):
        for part in request.score_parts:
            console.print(spread_table(made, part))
    if made is not None:
        console.print(f"{arguments.output}: fingerprint {made.manifest.fingerprint}")


if __name__ == "__main__":
    sys.exit(main())
