"""The registry: names, versions and aliases of models, and a version's package as a local folder.

An address `models:/NAME@ALIAS` or `models:/NAME/VERSION` becomes one fixed version. Its package is
checked by its digests before it is used. Knows nothing of scores and gates.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from training.mlflow_model import find_package
from training.tracking.mlflow_store import open_client, tracking_address, tracking_faults
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import ModelManifest, load_manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SCHEME = "models:/"
FINGERPRINT_TAG = "clinspan.fingerprint"
_ADDRESS = re.compile(
    r"models:/(?P<name>[\w .-]+)"
    r"(?:@(?P<alias>(?!latest$|v[0-9]+$)[A-Za-z][\w.-]*)|/(?P<version>[0-9]+))"
)


@dataclass(frozen=True)
class RegisteredPackage:
    """One version of a registered model, with its package in a local folder."""

    name: str
    version: str
    folder: Path
    manifest: ModelManifest

    @property
    def address(self) -> str:
        """The address with the version, never an alias."""
        return f"{SCHEME}{self.name}/{self.version}"


def fetch_package(address: str) -> RegisteredPackage:
    """The version that an address means now, and its package.

    Files that the registry keeps on this machine are used in place; others are downloaded into the
    user's cache.

    Raises:
        InputError: the address is malformed, or the registry has no such model.
        ModelPackageError: the package was altered.
        TrackingError: the registry cannot be asked.
    """
    parts = _parts(address)
    client = open_client(make_store=False)
    with tracking_faults(f"model {address}"):
        if parts["alias"]:
            found = client.get_model_version_by_alias(parts["name"], parts["alias"])
        else:
            found = client.get_model_version(parts["name"], parts["version"])
        source = client.get_model_version_download_uri(found.name, found.version)
    return _open(found, source)


def _parts(address: str) -> re.Match[str]:
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise InputError(
            f"{address!r} must be models:/NAME@ALIAS or models:/NAME/VERSION, as in "
            "models:/clinspan-ner@champion (MLflow keeps the aliases latest, v1, v2 … for itself)"
        )
    return parts


def find_champion(client: MlflowClient, name: str, alias: str) -> RegisteredPackage | None:
    """The version that the alias points to; None where there is no such model or alias.

    Raises:
        InputError: the name or the alias is not valid in an address.
    """
    _parts(f"{SCHEME}{name}@{alias}")
    with tracking_faults("registry of models"):
        known = client.search_registered_models(f"name = '{name}'")
    if not known or alias not in known[0].aliases:
        return None
    return fetch_package(f"{SCHEME}{name}@{alias}")


def register_version(
    client: MlflowClient, name: str, source: str, run_id: str | None, manifest: ModelManifest
) -> str:
    """Registers the artifacts at `source` as a new version; returns its number."""
    with tracking_faults(f"registry for model {name}"):
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        tags = {FINGERPRINT_TAG: manifest.fingerprint}
        made = client.create_model_version(name, source, run_id=run_id, tags=tags)
    return str(made.version)


def move_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Points the alias at a version; from now on the alias resolves to it."""
    with tracking_faults(f"model {name}"):
        client.set_registered_model_alias(name, alias, version)


def _open(found: ModelVersion, source: str) -> RegisteredPackage:
    folder = find_package(_local_folder(source) or _download(found, source))
    manifest = load_manifest(folder)
    expected = found.tags.get(FINGERPRINT_TAG, manifest.fingerprint)
    if manifest.fingerprint != expected:
        raise ModelPackageError(
            f"the package of model {found.name} version {found.version} in {folder} has not the "
            "fingerprint that it was registered with: it was replaced; register it again"
        )
    return RegisteredPackage(found.name, str(found.version), folder, manifest)


def _local_folder(source: str) -> Path | None:
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(source)


def _download(found: ModelVersion, source: str) -> Path:
    """The version's artifacts in the user's cache, downloaded once, whole or not at all."""
    from mlflow.artifacts import download_artifacts

    identity = "\x1f".join((tracking_address(), found.name, str(found.version), source))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clinspan"
    folder = cache / "models" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with tracking_faults(f"files of model {found.name} version {found.version}"):
            fetched = download_artifacts(
                artifact_uri=f"{SCHEME}{found.name}/{found.version}",
                dst_path=str(draft),
                tracking_uri=tracking_address(),
            )
        load_manifest(find_package(Path(fetched)))  # raises, so that a damaged package is not kept
        try:
            Path(fetched).rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is there, another process has fetched it meanwhile
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
