"""Which packages a package descends from, according to manifests.

Its ancestors are its teachers, the package that its training began with, packages that were
averaged, and their ancestors in turn. What they were trained on is what the package has seen
(`training/corpora/seen_parts.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from udfs.package.model_package import MANIFEST, ModelManifest, load_manifest


def ancestors(teachers: Sequence[Path], base_model: Path) -> list[dict[str, str]]:
    """The entries of all that a student learnt from, directly or through others.

    These are each teacher, the base model if it is a package, and what those learnt from.
    """
    return descent([*((teacher, "teacher") for teacher in teachers), (base_model, "base model")])


def descent(roles: Iterable[tuple[Path, str]]) -> list[dict[str, str]]:
    """The entries of packages, each with its role, and of all that those packages learnt from.

    A folder that is not a package gives no entry.
    """
    found: list[dict[str, str]] = []
    for folder, role in roles:
        if (folder / MANIFEST).is_file():
            manifest = load_manifest(folder)
            found += [_entry(manifest, role), *manifest.learnt_from]
    return list({(entry["fingerprint"], entry["role"]): entry for entry in found}.values())


def _entry(manifest: ModelManifest, role: str) -> dict[str, str]:
    return {
        "role": role,
        "name": manifest.name,
        "fingerprint": manifest.fingerprint,
        "training_data_digest": manifest.training_data_digest,
    }
