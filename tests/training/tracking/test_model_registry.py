"""What a registry keeps, how it is asked, and what it says when it is away."""

import shutil
import socket
import time

import pandas
import pytest
import yaml

from training.mlflow_model import find_package, write_mlflow_model
from training.package.calibrated_package import write_calibrated
from training.tracking import model_registry
from training.tracking.mlflow_store import TrackingError, open_client
from training.tracking.model_registry import fetch_package, move_alias, register_version
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.score_calibration import ScoreCalibration
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import PICKLES, load_manifest

TEXT = "Aspirin caused severe headache."


def test_a_model_of_mlflow_is_files_with_a_signature(tiny_package, tmp_path):
    from mlflow import pyfunc

    model = tmp_path / "model"
    write_mlflow_model(tiny_package, model)
    files = [path for path in model.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in PICKLES]
    described = yaml.safe_load((model / "MLmodel").read_text())
    assert "text" in described["signature"]["inputs"]
    assert "entities" in described["signature"]["outputs"]
    assert load_manifest(find_package(model)) == load_manifest(tiny_package)

    loaded = pyfunc.load_model(str(model))
    found = loaded.predict(pandas.DataFrame({"text": [TEXT, ""]}))["entities"]
    spans = find_entities(TEXT, TokenClassifier.load(tiny_package))
    assert [(e["begin"], e["end"], e["label"]) for e in found[0]] == [
        (s.begin, s.end, s.label) for s in spans
    ]
    assert len(found[0]) == 2
    assert found[1] == []


def test_a_folder_without_a_package_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no model package"):
        find_package(tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "models:/x",
        "models:/x/latest",
        "models:/x@",
        "models:/a/b@c",
        "models://x/1",
        "models:/x@v3",
    ],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match="must be models:/NAME@ALIAS or models:/NAME/VERSION"):
        fetch_package(address)


def test_what_the_registry_does_not_have_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    open_client().create_registered_model("known")
    for address in ("models:/unknown@champion", "models:/known@champion", "models:/known/7"):
        with pytest.raises(InputError, match=f"has no model {address}"):
            fetch_package(address)


def test_files_that_are_elsewhere_are_fetched_once(tiny_package, tmp_path, monkeypatch):
    """As from a server: the registry's own files are not looked at."""
    from training.tracking.experiment_log import ExperimentLog

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    manifest = load_manifest(tiny_package)
    with ExperimentLog("tests", "one", {}) as log:
        source = log.log_package(tiny_package)
    client = open_client()
    version = register_version(client, "tiny", source, log.run_id, manifest)
    move_alias(client, "tiny", "champion", version)
    in_place = fetch_package("models:/tiny@champion")
    assert in_place.address == "models:/tiny/1"

    monkeypatch.setattr(model_registry, "_local_folder", lambda source: None)
    fetched = fetch_package("models:/tiny@champion")
    assert fetched.manifest == manifest
    assert fetched.folder.is_relative_to(tmp_path / "cache" / "clinspan" / "models")
    shutil.rmtree(in_place.folder)
    assert fetch_package("models:/tiny/1") == fetched
    (cached,) = (tmp_path / "cache" / "clinspan" / "models").iterdir()
    assert fetched.folder.is_relative_to(cached)

    shutil.rmtree(cached)
    with pytest.raises(InputError, match="holds no model package"):  # nor does its source now
        fetch_package("models:/tiny/1")
    assert list(cached.parent.iterdir()) == []


def test_a_package_that_was_replaced_is_not_taken(tiny_package, tmp_path, monkeypatch):
    """All its digests agree, but it is another model than the one that was registered."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    client = open_client()
    other = write_calibrated(tiny_package, tmp_path / "other", ScoreCalibration(2.0))
    assert register_version(client, "tiny", str(tiny_package), None, other) == "1"
    with pytest.raises(ModelPackageError, match="has not the fingerprint"):
        fetch_package("models:/tiny/1")


def test_a_server_that_is_away_is_known_in_seconds(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
    began = time.monotonic()
    with pytest.raises(TrackingError, match="could not be asked for model models:/x@champion") as e:
        fetch_package("models:/x@champion")
    assert "secret" not in str(e.value)
    assert time.monotonic() - began < 30
