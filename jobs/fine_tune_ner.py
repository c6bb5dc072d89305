"""Train a named entity recogniser on an annotated corpus and write it as a model package.

Owns the command line, the terminal and the exit code: 0 done, 1 failed, 2 bad settings or input.
The defaults are the recommended recipe.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from training.corpora import PARTS, default_corpus
from training.recipe import Recipe
from udfs.errors import ClinspanError, InputError


def build_parser() -> argparse.ArgumentParser:
    """The flags: data and places first, then one for each setting of the recipe."""
    parser = argparse.ArgumentParser(
        description="Train a named entity recogniser and write it as a model package.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder for the package")
    add("--name", help="name of the model (default: that of the folder)")
    add("--corpus", metavar="FORM:FOLDER", default=default_corpus(), help="the annotated corpus")
    add(
        "--train-parts",
        metavar="PARTS",
        default="train",
        help=f"of {', '.join(PARTS)}, with commas",
    )
    add("--score-parts", metavar="PARTS", default="devel", help="scored after each epoch, or none")
    add("--base-model", metavar="FOLDER", type=Path, help="an encoder (default: MiniLM)")
    add("--experiment", metavar="NAME", default="clinspan-ner", help="MLflow experiment")
    add("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--device", metavar="NAME", default="cpu", help="cpu, cuda or cuda:INDEX")
    recipe = parser.add_argument_group("recipe")
    for setting in dataclasses.fields(Recipe):
        flag, meaning = "--" + setting.name.replace("_", "-"), setting.metadata["meaning"]
        if isinstance(setting.default, bool):
            recipe.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=setting.default, help=meaning
            )
        else:
            kind = type(setting.default)
            recipe.add_argument(flag, metavar="X", type=kind, default=setting.default, help=meaning)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, trains, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    try:
        train(arguments, shlex.join(["python", "jobs/fine_tune_ner.py", *words]))
    except ClinspanError as error:
        print(f"fine_tune_ner: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def train(arguments: argparse.Namespace, command: str) -> None:
    """Runs what the arguments ask for and shows how it goes."""
    recipe = Recipe(**{s.name: getattr(arguments, s.name) for s in dataclasses.fields(Recipe)})
    # torch and transformers take seconds to import: --help and a refused setting do not wait.
    import transformers
    from rich.console import Console

    from training.terminal import score_table, show_step, training_progress
    from training.training_run import Progress, TrainingRequest, run_training, split_parts

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    request = TrainingRequest(
        corpus=arguments.corpus,
        train_parts=split_parts(arguments.train_parts),
        score_parts=split_parts(arguments.score_parts),
        output=arguments.output,
        name=arguments.name or arguments.output.resolve().name,
        command=command,
        base_model=arguments.base_model,
        threads=arguments.threads,
        device=arguments.device,
    )
    console = Console()
    with training_progress(console) as bar:
        manifest = run_training(
            request,
            recipe,
            arguments.experiment,
            Progress(
                on_step=lambda report, loss: show_step(bar, report, loss),
                on_epoch=lambda epoch, seconds: console.print(f"epoch {epoch}: {seconds:.0f} s"),
                on_scores=lambda part, epoch, scores: console.print(
                    score_table(scores, f"{part}, epoch {epoch}")
                ),
            ),
        )
    console.print(f"{arguments.output}: fingerprint {manifest.fingerprint}")


if __name__ == "__main__":
    sys.exit(main())
