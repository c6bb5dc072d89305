"""The training job in two processes that Spark's TorchDistributor starts, beside one process."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from udfs.model_package import load_manifest

ROOT = Path(__file__).parents[2]
TINY = ["--max-wordpieces", "32", "--overlap", "8", "--learning-rate", "0.01", "--threads", "1"]
TINY += ["--dropout", "0", "--epochs", "2", "--batch-wordpieces", "24"]


def train(place, *more):
    environment = {name: value for name, value in os.environ.items() if name != "WORLD_SIZE"}
    environment |= {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    words = ["--corpus", "bc5cdr:data", "--base-model", "base", *TINY, *more]
    job = [sys.executable, str(ROOT / "jobs" / "fine_tune_ner.py"), *words]
    return subprocess.run(
        job, cwd=place, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.integration
def test_two_processes_train_the_model_of_one(tmp_path):
    path = Path(__file__).parents[1] / "training" / "tiny_bert.py"
    spec = importlib.util.spec_from_file_location("tiny_bert", path)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.write_tiny_bert(tmp_path / "base")
    tiny.write_tiny_bc5cdr(tmp_path / "data")

    two = train(tmp_path, "--output", "two", "--processes", "2")
    assert two.returncode == 0, two.stderr[-2000:]
    assert two.stdout.count("epoch 2: ") == 1  # the second process is silent
    one = train(tmp_path, "--output", "one")
    assert one.returncode == 0, one.stderr[-2000:]
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor.float(), weights[1][name].float(), atol=2e-3), name
    assert load_manifest(tmp_path / "two").labels == load_manifest(tmp_path / "one").labels

    failed = train(tmp_path, "--output", "new", "--processes", "2", "--learning-rate", "1e30")
    assert failed.returncode == 1
    assert "take a learning rate below" in failed.stdout + failed.stderr
    assert not (tmp_path / "new").exists()
