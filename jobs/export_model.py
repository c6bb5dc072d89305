"""Model package → ONNX folder, as `--engine spark_nlp` reads it.

    python jobs/export_model.py --model models/bc5cdr-minilm --output FOLDER

The extraction job makes this folder by itself, once for each package, below the user's cache. As a
command it is for a machine without torch, or for a Spark NLP pipeline of one's own: the folder is
what `BertForTokenClassification.loadSavedModel` takes. Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from udfs.errors import ClinspanError, InputError
from udfs.package.model_package import ModelManifest, check_export

# Part of the cached folder's name: raise it when the form of the folder changes.
EXPORT_VERSION = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    parser = argparse.ArgumentParser(
        description="Write the ONNX form of a model package, as Spark NLP imports it.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="FOLDER", type=Path, required=True, help="a package")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="a new folder")
    arguments = parser.parse_args(argv)
    try:
        if arguments.output.exists():
            raise InputError(f"{arguments.output} exists: name a new folder or remove it")
        _export(arguments.model, arguments.output)
    except ClinspanError as error:
        print(f"export_model: error: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.output}: model.onnx, assets/vocab.txt, assets/labels.txt")
    return 0


def cached_export(package: Path, manifest: ModelManifest) -> Path:
    """The ONNX folder of a package in the user's cache, made if it is not there.

    Raises:
        ModelPackageError: Spark NLP cannot read this package, or the folder was altered.
        InputError: the cache cannot be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache / "clinspan" / "onnx" / f"{manifest.fingerprint}-{EXPORT_VERSION}"
    if not folder.is_dir():
        _export(package, folder)
    check_export(folder)
    return folder


def _export(package: Path, target: Path) -> None:
    # torch and transformers take seconds to import: only an export waits for them.
    from training.package.onnx_export import export_package

    export_package(package, target)


if __name__ == "__main__":
    sys.exit(main())
