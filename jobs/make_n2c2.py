"""Invent a corpus in the file form of n2c2 2018 track 2, to try out training and scoring.

    python jobs/make_n2c2.py --output CORPUS --notes 150

Writes CORPUS/training_20180910 and CORPUS/test, with a .txt and an .ann for each invented discharge
summary. The same seed gives the same files on every machine. Exit codes: 0 done, 1 failed, 2 bad
arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from training.corpora.form_table import write_corpus
from training.corpora.forms.published.n2c2 import TEST, TRAINING
from training.invented.invented_summaries import FIRST_ID, invent_summaries
from udfs.errors import InputError

TEST_SHARE = 0.4  # 202 of the 505 documents of the real corpus

JOB = "make_n2c2"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Invent a corpus in the files of n2c2 2018 track 2.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", metavar="FOLDER", type=Path, required=True, help="a new folder")
    add("--notes", metavar="N", type=int, default=150, help="how many, two fifths of them to test")
    add("--seed", metavar="N", type=int, default=0, help="another one gives other notes")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _make(arguments))


def _make(arguments: argparse.Namespace) -> None:
    if arguments.notes < 2:
        raise InputError(f"--notes {arguments.notes}: there must be two at least, one to test")
    if arguments.output.exists():
        raise InputError(f"--output {arguments.output} exists; name a new folder or remove it")
    tested = max(1, round(TEST_SHARE * arguments.notes))
    trained = arguments.notes - tested
    for name, number, first in ((TRAINING, trained, 0), (TEST, tested, trained)):
        documents = invent_summaries(number, arguments.seed, FIRST_ID + first)
        write_corpus(f"brat:{arguments.output / name}", documents)
        mentions = sum(len(document.spans) for document in documents)
        relations = sum(len(document.relations) for document in documents)
        print(f"{name}: {number:,} notes, {mentions:,} mentions, {relations:,} relations")


if __name__ == "__main__":
    sys.exit(main())
