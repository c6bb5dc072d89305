"""Convert a model that others have trained with transformers or spaCy to a model package.

    python jobs/import_model.py --model FOLDER --output FOLDER

Reads BERT, DistilBERT, RoBERTa and ALBERT as transformers writes them, with B-I, BILOU (BIOES) or
plain labels, and pipelines of spaCy with a recogniser (Med7). It runs no code from the folder, and
downloads nothing unless --from-hub is given. Exit codes: 0 done, 2 bad input, nothing written.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from training.spacy_models.spacy_folders import find_pipeline
from udfs.decoding.label_scheme import ARGMAX, DECODINGS, SCHEMES
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest

JOB = "import_model"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _import(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Make a model package of a token classification model of transformers, or of a "
        "pipeline of spaCy.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--model",
        metavar="FOLDER",
        required=True,
        help="its folder, or the name of an installed pipeline of spaCy, or with --from-hub a name",
    )
    add("--from-hub", action="store_true", help="fetch the model of that name (owner/model)")
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder for the package")
    add("--name", help="name of the model (default: that of the output folder)")
    add("--labels", metavar="FILE", type=Path, help="its tags, one a line, in the columns' order")
    add(
        "--rename",
        metavar="OLD=NEW",
        action="append",
        default=[],
        help="another name for a tag (0=O) or for the label in tags (DIS=Disease); repeatable",
    )
    add("--scheme", choices=SCHEMES, help="how to read the tags (default: as they look)")
    add(
        "--decoding",
        choices=DECODINGS,
        help="each word's most probable tag, or those of a window together, so that no I- lacks "
        f"its B- (default: {ARGMAX}, as others do it)",
    )
    add("--max-wordpieces", metavar="N", type=int, help="longest piece (default: 256 or less)")
    add("--overlap", metavar="N", type=int, help="shared by two pieces of a window (default: 64)")
    return parser


def _import(arguments: argparse.Namespace) -> None:
    renames = [rename.partition("=") for rename in arguments.rename]
    if wrong := ["".join(parts) for parts in renames if not parts[0] or not parts[2]]:
        raise InputError(f"--rename {wrong[0]} must be OLD=NEW")
    renamed = {old: new for old, _, new in renames}
    pipeline = None if arguments.from_hub else find_pipeline(arguments.model)
    if pipeline is not None:
        _import_pipeline(arguments, pipeline, renamed)
        return
    if not arguments.from_hub and not Path(arguments.model).is_dir():
        raise InputError(
            f"no folder {arguments.model}: --model names one; with --from-hub it is a hub's name"
        )
    # torch and transformers take seconds to import: --help and wrong flags need not wait.
    import transformers

    from training.foreign_models.model_import import ImportRequest, import_model
    from training.package.model_hub import fetch_model

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    source = fetch_model(arguments.model) if arguments.from_hub else Path(arguments.model)
    found = import_model(
        ImportRequest(
            source=source,
            output=arguments.output,
            name=arguments.name or arguments.output.resolve().name,
            origin=arguments.model if arguments.from_hub else source.resolve().name,
            labels=arguments.labels,
            renames=renamed,
            scheme=arguments.scheme,
            decoding=arguments.decoding or ARGMAX,
            max_wordpieces=arguments.max_wordpieces,
            overlap=arguments.overlap,
        )
    )
    manifest = found.manifest
    labels = ", ".join(manifest.scheme.entity_labels)
    print(f"family       {found.family}, {found.parameters:,} parameters")
    print(f"labels       {labels} ({manifest.label_scheme} tags, {manifest.decoding})")
    print(f"pieces       {manifest.max_wordpieces} word-pieces, overlap {manifest.overlap}")
    print(
        f"checked      logits differ from those of transformers by {found.difference:.1e} at most"
    )
    _print_end(manifest, arguments.output)


def _import_pipeline(
    arguments: argparse.Namespace, pipeline: Path, renames: Mapping[str, str]
) -> None:
    for name in ("labels", "scheme", "decoding", "max_wordpieces", "overlap"):
        if getattr(arguments, name) is not None:
            flag = name.replace("_", "-")
            raise InputError(
                f"--{flag} is for models of transformers: {pipeline} is a pipeline of spaCy, which "
                "has its labels and reads windows of any length"
            )
    from training.spacy_models.spacy_pipelines import PipelineRequest, make_package

    made = make_package(
        PipelineRequest(
            source=pipeline,
            output=arguments.output,
            name=arguments.name or arguments.output.resolve().name,
            origin=pipeline.resolve().name,
            renames=renames,
        )
    )
    print(f"family       spaCy, {made.parameters:,} parameters, word vectors included")
    print(f"labels       {', '.join(made.manifest.scheme.entity_labels)}")
    print(f"components   {', '.join(made.kept)}; left out: {', '.join(made.left_out) or 'none'}")
    print("checked      the package finds what the pipeline finds in some sentences")
    _print_end(made.manifest, arguments.output)


def _print_end(manifest: ModelManifest, output: Path) -> None:
    print(f"fingerprint  {manifest.fingerprint}")
    print(
        "Run it: spark-submit jobs/extract_entities.py --notes PATH --output ROOT "
        f"--model {shlex.quote(str(output))}"
    )


if __name__ == "__main__":
    sys.exit(main())
