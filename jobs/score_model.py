"""Score a model package on a part of an annotated corpus, through the production path.

Owns the command line, the terminal and the exit code: 0 done, 1 failed, 2 bad settings or input.
Scores are strict: begin, end and label must all be right.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from training.corpora import PARTS, default_corpus, read_corpus
from training.corpus import digest_documents
from udfs.errors import ClinspanError, InputError


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Score a model package on an annotated corpus, through the production path.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", metavar="FOLDER", type=Path, required=True, help="the model package")
    add("--corpus", metavar="FORM:FOLDER", default=default_corpus(), help="the annotated corpus")
    add("--part", choices=PARTS, default="test", help="the part that is scored")
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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, scores, shows; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        score(arguments)
    except (ClinspanError, OSError) as error:
        print(f"score_model: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def score(arguments: argparse.Namespace) -> None:
    """Runs what the arguments ask for."""
    documents = read_corpus(arguments.corpus, [arguments.part])
    # torch takes seconds to import: --help and a wrong corpus do not wait for it.
    from rich.console import Console

    from training.model_package import record_scores
    from training.scoring import predict_documents, score_documents
    from training.terminal import score_table
    from udfs.token_classifier import TokenClassifier

    classifier = TokenClassifier.load(
        arguments.model,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
    )
    began = time.monotonic()
    scores = score_documents(documents, predict_documents(documents, classifier))
    seconds = time.monotonic() - began
    where = f"{arguments.corpus.partition(':')[0]} {arguments.part}"
    entry = {
        "model": classifier.manifest.name,
        "model_fingerprint": classifier.manifest.fingerprint,
        "data_digest": digest_documents(documents),
        "scores": scores.to_dict(),
    }
    Console().print(score_table(scores, f"{classifier.manifest.name} on {where}, {seconds:.0f} s"))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({where: entry}, indent=2) + "\n", encoding="utf-8")
    if arguments.write_card is not None:
        named = arguments.write_card != Path()
        record_scores(arguments.write_card if named else arguments.model, where, entry)


if __name__ == "__main__":
    sys.exit(main())
