r"""Compare model packages of any family: scores with intervals, speed, size and memory.

    python jobs/compare_models.py --model mine=build/my-model --model bert=build/bert \
        --corpus bc5cdr:FOLDER --part test --output build/comparison

Each model is tried on the same documents in a process of its own; every other model is compared
with the first. Writes comparison.json, .md and .png, and an MLflow run with a run below it for each
model. No text of a document is shown or kept. Exit codes: 0 done, 1 failed, 2 bad settings or
input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import DONE, exit_code
from training.corpora.form_table import PARTS, default_corpus
from udfs.errors import InputError
from udfs.package.model_package import NAME_RULE, is_name

JOB = "compare_models"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Compare model packages: scores, speed, size and memory.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--model",
        metavar="NAME=FOLDER",
        action="append",
        required=True,
        help="a model package and its name in the tables; repeatable, the first is the yardstick",
    )
    add("--corpus", metavar="FORM:FOLDER", default=default_corpus(), help="the annotated corpus")
    add("--part", choices=PARTS, default="test", help="the part that all are scored on")
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder for the report")
    add("--passes", metavar="N", type=int, default=1, help="over all documents; the fastest counts")
    add("--resamples", metavar="N", type=int, default=1000, help="draws of documents for intervals")
    add("--experiment", metavar="NAME", default="clinspan-ner", help="MLflow experiment")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, compares, shows; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _compare(arguments))


def _compare(arguments: argparse.Namespace) -> int:
    if arguments.output.exists():
        raise InputError(f"output {arguments.output} exists; name a new folder or remove it")
    models = _models(arguments.model)
    # matplotlib and MLflow take seconds to import: --help and refused flags need not wait.
    from training.comparison.comparison_report import to_markdown, write_comparison
    from training.comparison.model_comparison import (
        ComparisonRequest,
        compare_models,
        log_comparison,
    )

    request = ComparisonRequest(
        models=models,
        corpus=arguments.corpus,
        part=arguments.part,
        experiment=arguments.experiment,
        passes=arguments.passes,
        resamples=arguments.resamples,
    )
    done = compare_models(request, lambda name: print(f"trying {name}", flush=True))
    write_comparison(arguments.output, done)
    log_comparison(request, done, arguments.output)
    print(f"\n{to_markdown(done)}\n{arguments.output}: JSON, table and plot")
    return DONE


def _models(pairs: Sequence[str]) -> dict[str, Path]:
    models: dict[str, Path] = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        if not name or not folder:
            raise InputError(f"--model {pair} must be NAME=FOLDER, as in mine=build/my-model")
        if not is_name(name):
            raise InputError(f"the name {name!r} {NAME_RULE}")
        if name in models:
            raise InputError(f"two models are called {name}: give each a name of its own")
        models[name] = Path(folder)
    return models


if __name__ == "__main__":
    sys.exit(main())
