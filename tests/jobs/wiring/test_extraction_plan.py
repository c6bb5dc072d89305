"""The values of a run: a package is read and digested once on the driver, a source told once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from conf.faults import walk_settings
from conf.settings import Settings, load_settings
from jobs.wiring.extraction_plan import make_plan
from jobs.wiring.locate_model import locate_model
from jobs.wiring.ship_to_executors import ship_model
from tests.support.places import SHIPPED
from udfs.package import model_package
from udfs.package.model_package import MANIFEST


@pytest.mark.model
def test_the_driver_reads_and_digests_a_package_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLINSPAN_HASH_KEY", "ab" * 32)
    digested, read = Counter(), Counter()
    sha256_of, read_manifest = model_package.sha256_of, model_package.read_manifest

    def digest(path: Path) -> str:
        digested[path.name] += 1
        return sha256_of(path)

    def load(folder: Path) -> model_package.ModelManifest:
        read[folder] += 1
        return read_manifest(folder)

    monkeypatch.setattr(model_package, "sha256_of", digest)
    monkeypatch.setattr(model_package, "read_manifest", load)
    places = {"notes.path": "notes.parquet", "output.path": "root"}
    settings = load_settings(None, None, [], places)
    plan = make_plan(settings, locate_model(settings.model.folder))
    yarn = SimpleNamespace(
        conf=SimpleNamespace(get=lambda key, default: "yarn"),
        sparkContext=SimpleNamespace(addArchive=lambda path: None),
    )
    shipped = ship_model(yarn, plan.engine, "ship")
    assert shipped.archive is not None
    assert read == {SHIPPED: 1}
    assert digested == dict.fromkeys(shipped.package.manifest.files, 1)
    assert MANIFEST not in digested
    assert plan.model_fingerprint == shipped.fingerprint == shipped.package.manifest.fingerprint


@pytest.mark.model
@pytest.mark.parametrize(
    "key", [key for key in dict(walk_settings(Settings)) if "entities." in key]
)
def test_every_setting_of_entities_makes_notes_due(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLINSPAN_HASH_KEY", "ab" * 32)
    changed = {"entities.labels": "[Disease]", "entities.min_score": "0.5"}
    assert key in changed, f"give the new setting {key} a value here that changes rows"
    places = {"notes.path": "notes.parquet", "output.path": "root"}
    package = locate_model(load_settings(None, None, [], places).model.folder)
    plain, other = (
        make_plan(load_settings(None, None, overrides, places), package)
        for overrides in ([], [f"{key}={changed[key]}"])
    )
    assert plain.pipeline_fingerprint != other.pipeline_fingerprint
