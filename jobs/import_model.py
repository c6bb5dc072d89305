"""A token classification model that others have trained → a model package.

    python jobs/import_model.py --model FOLDER --output FOLDER

Reads BERT, DistilBERT, RoBERTa and ALBERT as transformers writes them, with B-I, BILOU (BIOES) or
plain labels. Nothing in the folder is run, nothing is fetched but with --from-hub. Exit code: 0
done, 2 bad input, nothing written.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.exit_codes import BAD_INPUT, DONE, fail
from udfs.errors import ClinspanError, InputError
from udfs.label_scheme import SCHEMES

JOB = "import_model"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        _import(arguments)
    except ClinspanError as error:
        return fail(JOB, BAD_INPUT, str(error))
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Make a model package of a token classification model of transformers.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", metavar="FOLDER", required=True, help="its folder, or with --from-hub its name")
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
    add("--max-wordpieces", metavar="N", type=int, help="longest piece (default: 256 or less)")
    add("--overlap", metavar="N", type=int, help="shared by two pieces of a window (default: 64)")
    return parser


def _import(arguments: argparse.Namespace) -> None:
    renames = [rename.partition("=") for rename in arguments.rename]
    if wrong := ["".join(parts) for parts in renames if not parts[0] or not parts[2]]:
        raise InputError(f"--rename {wrong[0]} must be OLD=NEW")
    if not arguments.from_hub and not Path(arguments.model).is_dir():
        raise InputError(
            f"no folder {arguments.model}: --model names one; with --from-hub it is a hub's name"
        )
    # torch and transformers take seconds to import: --help and wrong flags do not wait.
    import transformers

    from training.model_hub import fetch_model
    from training.model_import import ImportRequest, import_model

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
            renames={old: new for old, _, new in renames},
            scheme=arguments.scheme,
            max_wordpieces=arguments.max_wordpieces,
            overlap=arguments.overlap,
        )
    )
    manifest = found.manifest
    labels = ", ".join(manifest.scheme.entity_labels)
    output = shlex.quote(str(arguments.output))
    print(f"family       {found.family}, {found.parameters:,} parameters")
    print(f"labels       {labels} ({manifest.label_scheme} tags)")
    print(f"pieces       {manifest.max_wordpieces} word-pieces, overlap {manifest.overlap}")
    print(
        f"checked      logits differ from those of transformers by {found.difference:.1e} at most"
    )
    print(f"fingerprint  {manifest.fingerprint}")
    print(
        f"Run it: spark-submit jobs/extract_entities.py --notes PATH --output ROOT --model {output}"
    )


if __name__ == "__main__":
    sys.exit(main())
