"""Register a model under a name and give it an alias, if it is no worse than the present holder.

    python jobs/promote_model.py --candidate build/my-model --part test --notes notes.jsonl

The candidate and the version at the alias (the champion) are scored on the same test documents, and
their entities in real notes are compared. The alias moves only if the candidate passes the gate.
Either outcome is recorded as a run in MLflow, with numbers and no text. Exit codes: 0 promoted, 1
failed, 2 bad settings or input, 5 the gate refused and nothing was moved.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import DONE, VIOLATED, exit_code
from training.corpora.form_table import PARTS, default_corpus
from udfs.errors import InputError

JOB = "promote_model"


def build_parser() -> argparse.ArgumentParser:
    """The flags: what is judged on what, then the gate."""
    parser = argparse.ArgumentParser(
        description="Compare a model with the champion and, if it is no worse, promote it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--candidate", metavar="FOLDER", required=True, help="a model package, or models:/NAME/3")
    add("--name", default="clinspan-ner", help="of the registered model")
    add("--alias", default="champion", help="that is to stand at the candidate")
    add("--corpus", metavar="FORM:FOLDER", default=default_corpus(), help="the annotated corpus")
    add("--part", choices=PARTS, default="test", help="the part that both are scored on")
    add("--notes", metavar="FILE", type=Path, help="real notes: JSON Lines with a text")
    add("--note-limit", metavar="N", type=int, help="read N of the notes at most")
    add("--experiment", metavar="NAME", default="clinspan-ner", help="MLflow experiment")
    add("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--device", metavar="NAME", default="auto", help="auto, cpu, cuda or cuda:INDEX")
    gate = parser.add_argument_group("gate").add_argument
    gate(
        "--margin",
        metavar="X",
        type=float,
        default=0.01,
        help="the 95 %% interval of the difference in F1 must lie above -X",
    )
    gate(
        "--floor",
        metavar="LABEL=F1",
        type=_floor,
        action="append",
        default=[],
        help="least F1 of a label, or of overall; repeatable",
    )
    gate("--max-changed", metavar="SHARE", type=float, help="most notes with other entities")
    return parser


def _floor(text: str) -> tuple[str, float]:
    label, separator, least = text.rpartition("=")
    if not separator or not label:
        raise argparse.ArgumentTypeError(f"{text!r} must be LABEL=F1, as in Disease=0.75")
    return label, float(least)


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, judges, shows; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _promote(arguments))


def _promote(arguments: argparse.Namespace) -> int:
    if arguments.max_changed is not None and arguments.notes is None:
        raise InputError("--max-changed needs --notes FILE, the notes that it is about")
    # torch and MLflow take seconds to import: --help and refused flags need not wait.
    from rich.console import Console

    from jobs.display.promotion_tables import comparison_table, note_table, verdict
    from training.comparison.promotion import Gate
    from training.comparison.promotion_run import PromotionRequest, run_promotion
    from udfs.classifiers.model_loading import load_classifier

    gate = Gate(arguments.margin, dict(arguments.floor), arguments.max_changed)
    request = PromotionRequest(
        candidate=arguments.candidate,
        name=arguments.name,
        alias=arguments.alias,
        corpus=arguments.corpus,
        part=arguments.part,
        notes=arguments.notes,
        note_limit=arguments.note_limit,
        experiment=arguments.experiment,
    )
    done = run_promotion(
        request,
        gate,
        lambda folder: load_classifier(folder, arguments.device, threads=arguments.threads),
    )
    console = Console(highlight=False)
    console.print(comparison_table(done))
    if done.changes is not None:
        console.print(note_table(done.changes))
    console.print(verdict(done, arguments.name, arguments.alias), markup=False, soft_wrap=True)
    return DONE if done.version else VIOLATED


if __name__ == "__main__":
    sys.exit(main())
