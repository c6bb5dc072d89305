"""Average the weights of models that started from the same one, into one model of the same speed.

    python jobs/average_models.py --model build/seed-1 --model build/seed-2 --output build/mean

Compare the mean with the averaged models on texts that none of them has seen
(jobs/compare_models.py): it may be better than all of them. We did not try models that started from
different ones. Where the scores show more recall than precision, `--outside-bias 1.5` may be better
still; choose it on a development part, never on the test part. Exit codes: 0 done, 1 failed, 2 bad
settings or input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from udfs.errors import InputError
from udfs.package.model_package import NAME_RULE, is_name

JOB = "average_models"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Write a model package whose weights are the mean of those of several.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", metavar="FOLDER", type=Path, action="append", required=True,
        help="a model package; given twice or more")  # fmt: skip
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder for the package")
    add("--outside-bias", metavar="LOGITS", type=float, default=0.0,
        help="added to the bias of the tag O (default 0): above 0, fewer mentions")  # fmt: skip
    add("--name", metavar="NAME", help="name of the model (default: that of the folder)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, averages, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: average(arguments))


def average(arguments: argparse.Namespace) -> None:
    """Averages the models that the arguments name, and writes the package."""
    # torch takes seconds to import: --help need not wait for it.
    from rich.console import Console

    from training.package.averaged_package import write_averaged

    if arguments.name is not None and not is_name(arguments.name):
        raise InputError(f"--name {NAME_RULE}")
    named = " ".join(f"--model {folder}" for folder in arguments.model)
    bias = arguments.outside_bias
    if bias:
        named += f" --outside-bias {bias}"
    command = f"python jobs/average_models.py {named} --output {arguments.output}"
    written = write_averaged(arguments.model, arguments.output, command, arguments.name, bias)
    Console().print(f"{arguments.output}: fingerprint {written.fingerprint}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
