import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from udfs.classifiers import model_loading
from udfs.classifiers.model_loading import load_ahead, load_once
from udfs.errors import ModelPackageError
from udfs.package.model_package import load_manifest


def test_a_worker_loads_a_model_once_and_only_the_right_one(monkeypatch, random_package):
    monkeypatch.setattr(model_loading, "_LOADED", {})
    fingerprint = load_manifest(random_package).fingerprint
    first = load_once(random_package, fingerprint, "cpu", "float32", 1, 4096)
    assert load_once(random_package, fingerprint, "cpu", "float32", 1, 4096) is first
    second = load_once(random_package, fingerprint, "cpu", "bfloat16", 1, 4096)
    assert second is not first
    assert load_once(random_package, fingerprint, "cpu", "bfloat16", 1, 512) is second
    assert second.tokens_per_batch == 512
    with pytest.raises(ModelPackageError, match="not the one that the driver read"):
        load_once(random_package, "0" * 64, "cpu", "float32", 1, 4096)
    assert list(model_loading._LOADED.values()) == [second]


def test_what_was_begun_ahead_is_waited_for_and_loaded_once(monkeypatch):
    monkeypatch.setattr(model_loading, "_LOADED", {})
    begun, may_end, loads = threading.Event(), threading.Event(), []

    def load(*arguments: object) -> SimpleNamespace:
        loads.append(arguments)
        begun.set()
        assert may_end.wait(10)
        return SimpleNamespace(manifest=SimpleNamespace(fingerprint="f"), use=lambda *_: None)

    monkeypatch.setattr(model_loading, "load_classifier", load)
    wanted = partial(load_once, Path("package"), "f", "cpu", "float32", 1, 4096)
    load_ahead(wanted)
    assert begun.wait(10)
    assert list(model_loading._LOADED.values()) == []
    threading.Timer(0.2, may_end.set).start()
    assert wanted() is wanted()
    assert len(loads) == 1


def test_an_error_met_ahead_is_told_when_the_model_is_needed_and_not_before(monkeypatch, tmp_path):
    threads, told = [], []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail() -> None:
        threads.append(threading.current_thread())
        begun.set()
        load_once(tmp_path / "absent", "f", "cpu", "float32", 1, 4096)

    begun = threading.Event()
    load_ahead(fail)
    assert begun.wait(10)
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert told == []
    with pytest.raises(ModelPackageError, match="absent"):
        load_once(tmp_path / "absent", "f", "cpu", "float32", 1, 4096)
