"""Model package → classifier, whichever kind the package is of.

Owns the choice by the manifest's `kind`, and what a worker keeps loaded. The library of a kind
(torch, spaCy) is imported with the first package of that kind, so a worker needs only the library
of its own model.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from udfs.errors import ModelPackageError
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import (
    CONFIG,
    SPACY,
    ModelManifest,
    ModelPackage,
    load_manifest,
    read_manifest,
)
from udfs.package.spacy_config import SpacyConfig
from udfs.spans import WindowPrediction


class PackageClassifier(Protocol):
    """A loaded package."""

    manifest: ModelManifest
    tokens_per_batch: int

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold."""
        ...

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """One prediction for each window text, in order; nothing is truncated."""
        ...

    def use(self, threads: int, tokens_per_batch: int) -> None:
        """Sets what may differ from one task of a worker to the next."""
        ...


def check_package(folder: Path) -> ModelPackage:
    """Checks a package without loading its weights: its files, and that this release can run it.

    Raises:
        ModelPackageError: the package is missing, altered or of another architecture.
    """
    package = ModelPackage(folder, load_manifest(folder))
    check_architecture(package)
    return package


def check_architecture(package: ModelPackage) -> None:
    """Checks that this release can run a package.

    Raises:
        ModelPackageError: the package is of another architecture.
    """
    config = SpacyConfig if package.manifest.kind == SPACY else EncoderConfig
    config.from_file(package.folder / CONFIG)


def load_classifier(
    folder: Path,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 1,
    tokens_per_batch: int = 4096,
) -> PackageClassifier:
    """Checks a package and loads it; see `TokenClassifier.load` for the arguments.

    Raises:
        ModelPackageError: the package is not usable.
        InputError: the package cannot run on `device`.
    """
    if read_manifest(folder).kind == SPACY:  # the classifier checks the files
        from udfs.classifiers.spacy_classifier import SpacyClassifier

        return SpacyClassifier.load(folder, device, tokens_per_batch)
    from udfs.classifiers.token_classifier import TokenClassifier

    return TokenClassifier.load(folder, device, precision, threads, tokens_per_batch)


_LOADED: dict[tuple[str, str, str], PackageClassifier] = {}
# A worker loads one model at a time: a thread that needs a model waits for the thread that
# `load_ahead` started.
_LOADING = threading.Lock()


def load_once(
    folder: Path,
    fingerprint: str,
    device: str,
    precision: str,
    threads: int,
    tokens_per_batch: int,
) -> PackageClassifier:
    """The classifier of this process for one model on one device; later tasks get the same.

    Raises:
        ModelPackageError: the package is not usable, or is not the one with this fingerprint.
    """
    wanted = (fingerprint, device, precision)
    with _LOADING:
        if wanted not in _LOADED:
            classifier = load_classifier(folder, device, precision, threads, tokens_per_batch)
            if classifier.manifest.fingerprint != fingerprint:
                raise ModelPackageError(
                    f"the model package at {folder} is not the one that the driver read: put the "
                    "same package at the same place on every machine"
                )
            # A worker that goes on with another model or on another GPU drops its last classifier.
            # It also frees the memory on the old GPU, which may be another worker's now.
            _LOADED.clear()
            if (torch := sys.modules.get("torch")) is not None:
                torch.cuda.empty_cache()
            _LOADED[wanted] = classifier
        # Also needed after `load_ahead`: torch's number of threads holds only for the thread that
        # sets it, and another thread loaded the model.
        _LOADED[wanted].use(threads, tokens_per_batch)
        return _LOADED[wanted]


def load_ahead(load: Callable[[], object]) -> None:
    """Begins to load a model in a thread, while the worker does other work.

    Errors are not reported here: when the model is needed, `load_once` tries again and raises them.

    Args:
        load: calls `load_once`.
    """

    def quiet() -> None:
        with suppress(Exception):
            load()

    threading.Thread(target=quiet, daemon=True).start()
