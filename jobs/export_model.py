"""Model package → ONNX folder, as `--engine spark_nlp` reads it.

    python jobs/export_model.py --model build/my-model --output FOLDER

The extraction job makes this folder by itself, once for each package, in the user's cache. This
command is for a folder to use on a machine without torch, or in a Spark NLP pipeline of your own:
`BertForTokenClassification.loadSavedModel` reads it. Exit codes: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from jobs.wiring import onnx_cache
from udfs.errors import InputError

JOB = "export_model"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _export(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Write the ONNX form of a model package, as Spark NLP imports it.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="FOLDER", type=Path, required=True, help="a package")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="a new folder")
    return parser


def _export(arguments: argparse.Namespace) -> None:
    if arguments.output.exists():
        raise InputError(f"{arguments.output} exists: name a new folder or remove it")
    onnx_cache.export(arguments.model, arguments.output)
    print(f"{arguments.output}: model.onnx, assets/vocab.txt, assets/labels.txt")


if __name__ == "__main__":
    sys.exit(main())
