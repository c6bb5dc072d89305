"""Calibrate a model, so that its scores are probabilities, and write the calibrated package.

    python jobs/calibrate_model.py --model build/my-model --output build/my-model-calibrated

The calibration is fitted on one part of a corpus and judged on another. Spans and labels do not
change, only the scores of mentions. The new package has a fingerprint of its own. Exit codes: 0
done, 1 failed, 2 bad settings or input.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from training.corpora.form_table import PARTS, default_corpus, read_corpus
from udfs.errors import InputError

JOB = "calibrate_model"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Fit a temperature and biases to a model's scores, and write the package.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", metavar="FOLDER", type=Path, required=True, help="the model package")
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder for the package")
    add("--corpus", metavar="FORM:FOLDER", default=default_corpus(), help="the annotated corpus")
    add("--part", choices=PARTS, default="devel", help="the part that is fitted to")
    add("--test-part", choices=PARTS, default="test", help="the part that judges the fit")
    add("--plots", metavar="FOLDER", type=Path, help="write a plot of before and after there")
    add("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:INDEX")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, fits, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: calibrate(arguments))


def calibrate(arguments: argparse.Namespace) -> None:
    """Fits and judges the calibration that the arguments ask for, and writes the package."""
    if arguments.part == arguments.test_part:
        raise InputError(f"--part and --test-part are both {arguments.part}: name two parts")
    fitted_to = read_corpus(arguments.corpus, [arguments.part])
    judged_on = read_corpus(arguments.corpus, [arguments.test_part])
    # torch takes seconds to import: --help and a wrong corpus need not wait for it.
    from rich.console import Console

    from jobs.display.score_tables import calibration_table
    from training.corpora.seen_parts import refuse_seen_part
    from training.evaluation.calibration import fit_calibration, mention_outcomes
    from training.evaluation.plots import RELIABILITY, reliability_figure
    from training.evaluation.strict_scores import predict_documents
    from training.package.calibrated_package import write_calibrated
    from training.package.package_writing import check_output_folder
    from udfs.classifiers.token_classifier import TokenClassifier
    from udfs.decoding.score_calibration import UNCALIBRATED
    from udfs.package.model_package import load_manifest

    check_output_folder(arguments.output)
    manifest = load_manifest(arguments.model)
    for part in (arguments.part, arguments.test_part):
        refuse_seen_part(manifest, arguments.corpus, part)
    classifier = TokenClassifier.load(
        arguments.model, arguments.device, precision="float32", threads=arguments.threads
    )
    classifier.manifest = replace(manifest, calibration=UNCALIBRATED)
    calibration = fit_calibration(
        mention_outcomes(fitted_to, predict_documents(fitted_to, classifier))
    )
    before = mention_outcomes(judged_on, predict_documents(judged_on, classifier))
    after = before.calibrated(calibration)
    console = Console()
    title = f"scores on {arguments.corpus.partition(':')[0]} {arguments.test_part}"
    console.print(calibration_table(before, after, title))
    if arguments.plots is not None:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        figure = reliability_figure({"before": before, "after": after})
        figure.savefig(arguments.plots / RELIABILITY, dpi=120)
    written = write_calibrated(arguments.model, arguments.output, calibration)
    biases = ", ".join(f"{label} {bias:+.3f}" for label, bias in calibration.biases.items())
    console.print(f"temperature {calibration.temperature:.3f}, biases {biases}")
    console.print(f"{arguments.output}: fingerprint {written.fingerprint}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
