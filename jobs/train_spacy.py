"""Train a recogniser of spaCy on annotated corpora and write it as a model package.

    python jobs/train_spacy.py --corpus bc5cdr:FOLDER --output build/my-spacy

Owns the command line and the terminal. Exit codes: 0 done, 1 failed, 2 bad settings or input.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from jobs.command_line.exit_codes import DONE, exit_code
from jobs.command_line.label_map_file import read_label_maps
from jobs.command_line.training_options import add_data_options, add_settings, read_settings
from training.corpora.form_table import default_corpus
from training.recipes.spacy_recipe import SpacyRecipe
from training.recipes.training_request import JUDGED_PART, TrainingRequest, split_parts

JOB = "train_spacy"


def build_parser() -> argparse.ArgumentParser:
    """The flags: data and places first, then one for each setting of the recipe."""
    parser = argparse.ArgumentParser(
        description="Train a recogniser of spaCy and write it as a model package.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add_data_options(parser)
    add(
        "--score-parts",
        metavar="PARTS",
        default=JUDGED_PART,
        help=f"scored at the end; {JUDGED_PART} must be one, it chooses the weights",
    )
    add("--vectors", metavar="PATH", help="word vectors: word2vec (.bin, .txt, .vec) or spaCy's")
    add(
        "--vector-words",
        metavar="N",
        type=int,
        default=200_000,
        help="so many words of a word2vec file, from its beginning",
    )
    add("--experiment", metavar="NAME", default="clinspan-ner", help="MLflow experiment")
    add_settings(parser.add_argument_group("recipe"), SpacyRecipe)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, trains, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    words = list(sys.argv[1:] if argv is None else argv)
    return exit_code(JOB, lambda: _train(arguments, words))


def _train(arguments: argparse.Namespace, words: list[str]) -> int:
    recipe = read_settings(arguments, SpacyRecipe)
    request = TrainingRequest(
        corpora=tuple(arguments.corpus or [default_corpus()]),
        train_parts=split_parts(arguments.train_parts),
        score_parts=split_parts(arguments.score_parts),
        output=arguments.output,
        name=arguments.name or arguments.output.resolve().name,
        command=shlex.join(["python", "jobs/train_spacy.py", *words]),
        label_maps=read_label_maps(arguments.label_map),
    )
    request.check_judged("spaCy's training")
    # spaCy, torch and MLflow take seconds to import: --help and refused settings need not wait.
    from rich.console import Console

    from jobs.display.training_tables import score_table
    from training.spacy_models.spacy_training import train_spacy
    from training.spacy_models.word_vectors import find_vectors

    console = Console()
    done = train_spacy(
        request,
        recipe,
        find_vectors(arguments.vectors, arguments.vector_words) if arguments.vectors else None,
        arguments.experiment,
        lambda step, f1: console.print(f"step {step}: F1 {f1:.4f} on {JUDGED_PART}, by spaCy"),
    )
    for kind, count in done.losses.items():
        console.print(f"training parts: {count} {kind}")
    for part, scores in done.scores.items():
        console.print(score_table(scores, part))
    fingerprint = done.made.manifest.fingerprint
    console.print(f"{arguments.output}: fingerprint {fingerprint}", soft_wrap=True)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
