"""The ONNX form of a package, exported once and kept in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from udfs.package.model_package import ModelPackage, check_export

# Part of the cached folder's name: raise it when the form of the folder changes.
EXPORT_VERSION = 2


def cached_export(package: ModelPackage) -> Path:
    """The ONNX folder of a package in the user's cache, made if it is not there.

    Raises:
        ModelPackageError: Spark NLP cannot read this package, or the folder was altered.
        InputError: the cache cannot be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache / "clinspan" / "onnx" / f"{package.manifest.fingerprint}-{EXPORT_VERSION}"
    if not folder.is_dir():
        export(package.folder, folder)
    check_export(folder)
    return folder


def export(package: Path, target: Path) -> None:
    """Writes the ONNX form of a package into a new folder, as Spark NLP imports it.

    Raises:
        ModelPackageError: Spark NLP cannot read this package.
    """
    # torch and transformers take seconds to import, so only an export imports them.
    from training.package.onnx_export import export_package

    export_package(package, target)
