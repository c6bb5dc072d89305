"""Which packages a package descends from, as its manifest tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from udfs.package.model_package import MANIFEST, ModelManifest, load_manifest


def ancestors(teachers: Sequence[Path], base_model: Path) -> list[dict[str, str]]:
    """All that a student learnt from: each teacher, a base model that is a package, and theirs."""
    return descent([*((teacher, "teacher") for teacher in teachers), (base_model, "base model")])


def descent(roles: Iterable[tuple[Path, str]]) -> list[dict[str, str]]:
    """The entries of packages in their roles and of what they learnt from; other folders: none."""
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
