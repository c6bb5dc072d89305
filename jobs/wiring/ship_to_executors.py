"""Sends executors what they need: the model package and, over Spark Connect, our code.

On one machine, and where every machine mounts its folder, a package is used in place. Elsewhere it
is sent as an archive through Spark, which fetches it once for each executor, unpacks it before the
executor's first task and removes it with the application. That works the same way on a standalone
cluster, YARN, Kubernetes and over Spark Connect. It needs no storage that Python on an executor
could read, leaves nothing behind, and reaches executors that join later. The worker that loads the
package checks every digest.

Only the SparkContext can add an archive to a session, except over Spark Connect.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from pipelines.scoring.torch_engine import Engine, TorchEngine
from pipelines.spark.slots import is_local
from udfs.package.model_package import MANIFEST

# Our packages that Python workers import.
WORKER_PACKAGES = ("pipelines", "udfs")
# Databricks mounts both on every executor.
_MOUNTED = ("/Volumes/", "/dbfs/")
# The earliest time that a zip file can hold. With a fixed time, equal content makes equal archives:
# a Spark Connect session refuses a different file under a name that it already has.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def ship_code(spark: SparkSession) -> None:
    """Sends our packages to the workers of a Spark Connect session, which has no `--py-files`."""
    sources: dict[str, Traversable] = {}
    for package in WORKER_PACKAGES:
        sources |= _modules(files(package), package)
    spark.addArtifacts(str(_archive("clinspan-code.zip", sources)), pyfile=True)


def ship_model(spark: SparkSession, engine: Engine, distribute: str = "auto") -> Engine:
    """An engine whose package every executor can read.

    Args:
        spark: the session whose executors will use it.
        engine: an engine whose package is on the driver; one that needs no package on executors is
            returned unchanged.
        distribute: `in_place`, `ship` or `auto`; `conf/defaults.yaml` says what they mean.
    """
    if not isinstance(engine, TorchEngine) or distribute == "in_place":
        return engine
    if distribute == "auto" and _is_seen(spark, engine.package.folder):
        return engine
    # The manifest holds the digests of all other files, so its own digest identifies the package.
    place, files = engine.package.folder, engine.package.manifest.files
    digest = hashlib.sha256((place / MANIFEST).read_bytes()).hexdigest()
    folder = f"clinspan-model-{digest[:16]}"
    parts = {name: place / name for name in (MANIFEST, *files)}
    archive = f"{_archive(f'{folder}.zip', parts)}#{folder}"
    if is_remote():
        spark.addArtifacts(archive, archive=True)
    else:
        spark.sparkContext.addArchive(archive)
    return replace(engine, archive=folder)


def _modules(folder: Traversable, inside: str) -> dict[str, Traversable]:
    """Every module of a package, sub-folders included, by its path in an archive."""
    found: dict[str, Traversable] = {}
    for entry in folder.iterdir():
        path = f"{inside}/{entry.name}"
        if entry.is_dir():
            found |= _modules(entry, path)
        elif entry.name.endswith(".py"):
            found[path] = entry
    return found


def _is_seen(spark: SparkSession, folder: Path) -> bool:
    """Whether executors certainly see a folder of the driver."""
    if str(folder).startswith(_MOUNTED):
        return True
    # The server of a Spark Connect session may be another machine.
    return not is_remote() and is_local(spark)


def _archive(name: str, parts: Mapping[str, Traversable]) -> Path:
    """A zip file with these files; it is kept until the process ends."""
    archive = _scratch() / name
    if not archive.exists():
        draft = archive.with_suffix(".draft")
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as out:
            for inside, file in sorted(parts.items()):
                entry = zipfile.ZipInfo(inside, date_time=_NO_TIME)
                entry.external_attr = 0o644 << 16
                out.writestr(entry, file.read_bytes())
        draft.replace(archive)
    return archive


@cache
def _scratch() -> Path:
    """A private folder; Spark's driver serves archives from it as long as the session lives."""
    folder = Path(tempfile.mkdtemp(prefix="clinspan-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
