"""GPUs that Spark assigns: one that is not there is an error, another one is another model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from udfs.classifiers import model_loading
from udfs.classifiers.model_loading import load_once
from udfs.errors import InputError
from udfs.network.devices import promised_gpu


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_promised_gpu_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    assert [promised_gpu("0"), promised_gpu("1")] == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("address", "count"), [("0", 0), ("2", 2), ("GPU-8932f937", 2), ("01", 2), ("", 1), ("-1", 1)]
)
def test_a_promised_gpu_that_torch_does_not_see_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, count: int
) -> None:
    pretend_gpus(monkeypatch, count)
    with pytest.raises(InputError) as raised:
        promised_gpu(address)
    said = str(raised.value)
    assert f"the GPU {address!r}" in said and f"sees {count} CUDA devices" in said
    assert "model.device to cpu" in said


def test_a_worker_keeps_the_model_of_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Spark 3.5 a reused worker got GPU 1, then GPU 0."""
    loads: list[str] = []

    def load(folder: Path, device: str, *rest: object) -> SimpleNamespace:
        loads.append(device)
        manifest = SimpleNamespace(fingerprint="f")
        return SimpleNamespace(manifest=manifest, device=device, use=lambda *_: None)

    monkeypatch.setattr(model_loading, "_LOADED", {})
    monkeypatch.setattr(model_loading, "load_classifier", load)
    for device in ("cuda:1", "cuda:1", "cuda:0", "cuda:1"):
        classifier = load_once(Path("/"), "f", device, "auto", threads=1, tokens_per_batch=1)
        assert classifier.device == device
        assert list(model_loading._LOADED.values()) == [classifier]
    assert loads == ["cuda:1", "cuda:0", "cuda:1"]
