import pytest

from udfs import model_loading
from udfs.errors import ModelPackageError
from udfs.model_loading import load_once
from udfs.model_package import load_manifest


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
