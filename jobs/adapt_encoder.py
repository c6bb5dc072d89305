"""Train a base model, or a new encoder, on unlabelled text of the field before fine-tuning.

    python jobs/adapt_encoder.py --text NOTES.jsonl --output build/my-base
    python jobs/adapt_encoder.py --text NOTES.jsonl --from-scratch albert --output build/my-albert
    python jobs/fine_tune_ner.py --base-model build/my-base …

Masked-language-model training that hides whole words. The folder that it writes holds what was
learnt from the text: protect it as you protect the text. Exit codes: 0 done, 1 failed, 2 bad
settings or input.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from jobs.command_line.training_options import add_settings, read_settings
from training.corpora.unlabelled_text import read_texts
from training.recipes.adaptation_settings import AdaptationSettings, NewEncoder
from udfs.errors import InputError
from udfs.package.model_families import FAMILIES

_SHAPE = [field for field in dataclasses.fields(NewEncoder) if field.metadata]

JOB = "adapt_encoder"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Masked-language-model training of a base model on unlabelled text.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--text",
        metavar="PATH",
        type=Path,
        action="append",
        required=True,
        help=".txt, .jsonl or a folder of them; may be given several times",
    )
    add("--text-key", metavar="NAME", default="text", help="of the records of .jsonl")
    add(
        "--each-line",
        action="store_true",
        help="each line of a .txt is a text of its own, such as a sentence",
    )
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder")
    add("--base-model", metavar="FOLDER", type=Path, help="an encoder (default: MiniLM)")
    add(
        "--from-scratch",
        metavar="FAMILY",
        help=f"random weights of that family ({', '.join(FAMILIES)}); of the base model "
        "only the tokenizer is taken",
    )
    for shape in _SHAPE:
        add(
            "--" + shape.name.replace("_", "-"),
            metavar="N",
            type=int,
            default=argparse.SUPPRESS,
            help=f"with --from-scratch: {shape.metadata['meaning']} (default: {shape.default})",
        )
    add("--experiment", metavar="NAME", default="clinspan-encoder", help="MLflow experiment")
    add("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--device", metavar="NAME", default="cpu", help="cpu, cuda or cuda:INDEX")
    add("--resume", action="store_true", help="go on with a training that was killed")
    add(
        "--checkpoint-steps",
        metavar="N",
        type=int,
        default=500,
        help="steps between two checkpoints inside an epoch, 0 for none",
    )
    add_settings(parser, AdaptationSettings)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, trains, writes; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: adapt(arguments))


def adapt(arguments: argparse.Namespace) -> None:
    """Runs the training that the arguments ask for, and shows its progress."""
    settings = read_settings(arguments, AdaptationSettings)
    new_encoder = _new_encoder(arguments)
    texts = read_texts(arguments.text, arguments.text_key, arguments.each_line)
    # torch and transformers take seconds to import: --help and missing files need not wait.
    import torch
    import transformers
    from rich.console import Console

    from jobs.display.training_tables import show_share, training_progress
    from training.encoders.encoder_adaptation import (
        AdaptationRequest,
        Watcher,
        adapt_encoder,
        check_adaptation,
    )
    from training.tracking.experiment_log import ExperimentLog

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    request = AdaptationRequest(
        texts=texts,
        output=arguments.output,
        base_model=arguments.base_model,
        new_encoder=new_encoder,
        device=arguments.device,
        checkpoint_steps=arguments.checkpoint_steps,
        resume=arguments.resume,
    )
    check_adaptation(request)  # before MLflow has a run for it
    console = Console()
    parameters = {**dataclasses.asdict(settings), "texts": len(texts)}
    if new_encoder is not None:
        parameters |= dataclasses.asdict(new_encoder)
    with (
        ExperimentLog(arguments.experiment, arguments.output.resolve().name, parameters) as log,
        training_progress(console) as bar,
    ):
        steps = itertools.count(1)

        def on_step(fraction: float, loss: float) -> None:
            log.log_metric("train/loss", loss, next(steps))
            show_share(bar, fraction, f"loss {loss:.4f}")

        def on_held_out(epochs: int, loss: float) -> None:
            log.log_metric("held_out/loss", loss, epochs)
            console.print(
                f"after {epochs} epochs, held-out text: loss {loss:.4f}, "
                f"perplexity {math.exp(min(loss, 20)):.1f}"
            )

        adapted = adapt_encoder(request, settings, Watcher(on_step, on_held_out))
    head = "the head that guesses words was new" if adapted.head_is_new else "with its own head"
    console.print(f"{arguments.output}: {adapted.wordpieces:,} word-pieces an epoch, {head}")


def _new_encoder(arguments: argparse.Namespace) -> NewEncoder | None:
    shape = {field.name: vars(arguments).get(field.name) for field in _SHAPE}
    given = {name: number for name, number in shape.items() if number is not None}
    if arguments.from_scratch is None:
        if given:
            flag = "--" + next(iter(given)).replace("_", "-")
            raise InputError(f"{flag} shapes a new encoder: give --from-scratch FAMILY too")
        return None
    return NewEncoder(arguments.from_scratch, **given)


if __name__ == "__main__":
    sys.exit(main())
