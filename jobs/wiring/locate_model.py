"""`--model FOLDER` or `--model models:/NAME@ALIAS` → the package, found and checked once."""

from __future__ import annotations

from pathlib import Path

from conf.setting_sections import REGISTRY
from jobs.display.show_run import console
from udfs.classifiers.model_loading import check_architecture, check_package
from udfs.package.model_package import ModelPackage


def locate_model(place: str) -> ModelPackage:
    """The package at a place that the settings name, with the digests of all its files checked.

    An alias is resolved once: if it moves during the run, the run keeps its package.

    Args:
        place: a folder, or an address of the registry.

    Raises:
        InputError: the registry has no such model.
        ModelPackageError: the package is missing, altered or of another architecture.
        TrackingError: the registry cannot be asked.
    """
    if not place.startswith(REGISTRY):
        return check_package(Path(place))
    # MLflow takes seconds to import, so it is imported only for a model of the registry.
    from training.tracking.model_registry import fetch_package

    found = fetch_package(place)
    console.print(f"{place} is {found.address} ({found.manifest.name})", markup=False)
    package = ModelPackage(found.folder, found.manifest, found.address)
    check_architecture(package)
    return package
