"""Score a model package on a part of an annotated corpus, through the production path.

    python jobs/score_model.py --part test

Owns the command line, the terminal and the exit code: 0 done, 1 failed, 2 bad settings or input.
What each measure counts stands in training/evaluation/measures.py. No text of a document is shown
or written without --show-text.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from conf.shipped_model import shipped_model
from jobs.command_line.exit_codes import exit_code
from training.corpora.documents import digest_documents, with_labels
from training.corpora.form_table import PARTS, default_corpus, read_corpus
from training.evaluation.document_groups import GROUPINGS, group_documents, read_group_file
from udfs.errors import InputError

JOB = "score_model"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Score a model package on an annotated corpus, through the production path.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    shipped = shipped_model()
    add("--model", metavar="FOLDER", type=Path, default=shipped, help="the model package")
    add("--corpus", metavar="FORM:FOLDER", default=default_corpus(), help="the annotated corpus")
    add("--part", choices=PARTS, default="test", help="the part that is scored")
    add("--labels", metavar="NAMES", type=_names, default=(), help="judge these alone: A,B")
    add("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:INDEX")
    add(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the weights",
    )
    add("--json", metavar="FILE", type=Path, help="write the scores there as well")
    add(
        "--write-card",
        metavar="FOLDER",
        type=Path,
        nargs="?",
        const=Path(),
        help="record the scores in that package's manifest and card (no FOLDER: those of --model)",
    )
    add("--by", metavar="NAMES", type=_groupings, default=(), help="note_type, section, or both")
    add("--groups", metavar="FILE", type=Path, help="JSON Lines that say them of each document")
    add("--resamples", metavar="N", type=int, default=1000, help="draws of documents for intervals")
    add("--plots", metavar="FOLDER", type=Path, help="write reliability and F1 plots there")
    add("--html", metavar="FILE", type=Path, help="write a page of errors; needs --show-text")
    add("--show-text", action="store_true", help="the page may hold text of the documents")
    return parser


def _names(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


def _groupings(names: str) -> tuple[str, ...]:
    wanted = _names(names)
    if unknown := sorted(set(wanted) - set(GROUPINGS)):
        raise argparse.ArgumentTypeError(f"{unknown} must be of {', '.join(GROUPINGS)}")
    return wanted


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, scores, shows; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: score(arguments))


def score(arguments: argparse.Namespace) -> None:
    """Scores the model as the arguments ask, and shows and writes the results."""
    _check(arguments)
    documents = read_corpus(arguments.corpus, [arguments.part])
    digest = digest_documents(documents)
    if arguments.labels:
        documents = with_labels(documents, arguments.labels)
    lines = read_group_file(arguments.groups, documents) if arguments.by else {}
    # torch takes seconds to import: --help and a wrong corpus need not wait for it.
    from rich.console import Console

    from jobs.display.score_tables import calibration_line, group_table, measure_table, strict_table
    from training.evaluation.error_page import write_error_page
    from training.evaluation.evaluation import evaluate
    from training.evaluation.plots import write_plots
    from training.evaluation.strict_scores import predict_documents
    from training.package.package_writing import record_scores
    from udfs.classifiers.model_loading import load_classifier

    classifier = load_classifier(
        arguments.model,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
    )
    began = time.monotonic()
    predicted = predict_documents(documents, classifier)
    seconds = time.monotonic() - began
    where = f"{arguments.corpus.partition(':')[0]} {arguments.part}"
    if arguments.labels:
        predicted = [[s for s in spans if s.label in arguments.labels] for spans in predicted]
        where += f", {', '.join(sorted(set(arguments.labels)))} alone"
    evaluation = evaluate(documents, predicted, arguments.resamples)
    entry = {
        "model": classifier.manifest.name,
        "model_fingerprint": classifier.manifest.fingerprint,
        "data_digest": digest,
        **evaluation.to_dict(),
    }
    title = f"{classifier.manifest.name} on {where}"
    console = Console()
    console.print(strict_table(evaluation, f"{title}, strict, 95 % intervals, {seconds:.0f} s"))
    console.print(measure_table(evaluation))
    for by in arguments.by:
        groups = group_documents(by, lines, documents, predicted)
        console.print(group_table(by, groups, arguments.resamples))
    console.print(calibration_line(evaluation))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({where: entry}, indent=2) + "\n", encoding="utf-8")
    if arguments.write_card is not None:
        named = arguments.write_card != Path()
        record_scores(arguments.write_card if named else arguments.model, where, entry)
    if arguments.plots is not None:
        write_plots(arguments.plots, evaluation)
    if arguments.html is not None:
        write_error_page(arguments.html, title, documents, predicted)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.html is not None and not arguments.show_text:
        raise InputError(
            f"--html {arguments.html} is a page of examples, which hold text of the documents: "
            "give --show-text if the file may hold it"
        )
    if arguments.by and arguments.groups is None:
        raise InputError(
            "--by needs --groups FILE: a corpus does not say of what type a document is, or where "
            "its sections are"
        )
    if arguments.labels and arguments.write_card is not None:
        raise InputError(
            "--labels judges some labels alone, which a card's scores cannot say: leave "
            "--write-card out, and use --json"
        )
    if arguments.resamples < 1:
        raise InputError(f"--resamples {arguments.resamples} must be at least 1")


if __name__ == "__main__":
    sys.exit(main())
