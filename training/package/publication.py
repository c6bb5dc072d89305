"""Which files of a model package go to a hub, and whether it may be published. Uses no network.

The files are the manifest and those that it names; nothing else in the folder is published.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.package.card_metadata import (
    Metadata,
    card_metadata,
    join_card,
    own_scores,
    split_card,
    with_scores,
)
from training.package.model_card import CARD
from udfs.errors import InputError
from udfs.package.model_package import (
    MANIFEST,
    ModelManifest,
    load_manifest,
    manifest_text,
    sha256_of,
)

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class PublishedFile:
    """A file as it will be on the hub; `content` is set if the file in the folder differs."""

    name: str
    path: Path
    size: int
    sha256: str
    content: bytes | None = None


@dataclass(frozen=True)
class Publication:
    """A package that may be published, and the repository that it goes to."""

    repository: str
    manifest: ModelManifest
    licence: str
    datasets: tuple[str, ...]
    files: tuple[PublishedFile, ...]

    @property
    def scores(self) -> dict[str, Any]:
        """Corpus and part -> the scores of this model on it."""
        return own_scores(self.manifest)


def prepare_publication(folder: Path, repository: str, licence: str | None = None) -> Publication:
    """Checks a package and gathers its files; changes nothing in the folder.

    Args:
        folder: the package.
        repository: the name OWNER/NAME on the hub.
        licence: replaces the licence in the published card; None: that of the card stays.

    Raises:
        InputError: `repository` or `licence` is no valid name, the package is not sound, has no
            card or no scores, or neither `licence` nor the card names a licence.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"--repository {repository!r} must be OWNER/NAME")
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(f"--license {licence!r} must be an identifier, such as apache-2.0")
    manifest = load_manifest(folder)
    if CARD not in manifest.files:
        raise InputError(
            f"{folder} has no {CARD}: whoever finds it there would not know what it is"
        )
    if not own_scores(manifest):
        raise InputError(
            f"{folder} is not scored: nobody could know how good it is. Run `python "
            f"jobs/score_model.py --model {folder} --part test --write-card` with its corpus"
        )
    card = (folder / CARD).read_text(encoding="utf-8")
    head, words = _head(folder, manifest, card, licence)
    changed: dict[str, bytes] = {}
    if (new := join_card(head, words)) != card:
        changed[CARD] = new.encode()
        files = {**manifest.files, CARD: hashlib.sha256(changed[CARD]).hexdigest()}
        manifest = dataclasses.replace(manifest, files=files)
        changed[MANIFEST] = manifest_text(manifest).encode()
    names = sorted({*manifest.files, MANIFEST})
    published = tuple(_published(folder / name, changed.get(name)) for name in names)
    datasets = tuple(map(str, head.get("datasets", ())))
    return Publication(repository, manifest, head["license"], datasets, published)


def _head(
    folder: Path, manifest: ModelManifest, card: str, licence: str | None
) -> tuple[Metadata, str]:
    """The metadata of the published card, with a licence, and the text below it."""
    metadata, words = split_card(card)
    # A card of an earlier release has no metadata.
    head = with_scores(metadata or card_metadata(manifest), manifest)
    named = licence or head.get("license")
    if not isinstance(named, str):
        raise InputError(
            f"the card of {folder} names no licence: give --license, such as apache-2.0, if the "
            "licences of its base model and of its training data allow it to be published"
        )
    return {**head, "license": named}, words


def _published(path: Path, content: bytes | None) -> PublishedFile:
    if content is None:
        return PublishedFile(path.name, path, path.stat().st_size, sha256_of(path))
    digest = hashlib.sha256(content).hexdigest()
    return PublishedFile(path.name, path, len(content), digest, content)
