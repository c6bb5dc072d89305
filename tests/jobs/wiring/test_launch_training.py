"""The training job in two processes that Spark's TorchDistributor starts, beside one process."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from jobs import fine_tune_ner
from tests.support.places import REPOSITORY
from udfs.package.model_package import load_manifest

pytestmark = pytest.mark.integration

JOB = ["--corpus", "bc5cdr:data", "--base-model", "base", "--threads", "1"]
JOB += ["--max-wordpieces", "32", "--overlap", "8", "--batch-wordpieces", "24"]


@pytest.fixture
def place(tmp_path, monkeypatch, load_tiny):
    tiny = load_tiny("tiny_bert")
    tiny.write_tiny_bert(tmp_path / "base")
    tiny.write_tiny_bc5cdr(tmp_path / "data")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train_in_two(place, *more):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"}
    job = [sys.executable, str(REPOSITORY / "jobs" / "fine_tune_ner.py"), *JOB, "--processes", "2"]
    return subprocess.run(
        [*job, *more], cwd=place, env=environment, capture_output=True, text=True, check=False
    )


def test_two_processes_train_the_model_of_one(place):
    recipe = ["--learning-rate", "0.01", "--dropout", "0", "--epochs", "2", "--seeds", "1,2"]
    two = train_in_two(place, "--output", "two", *recipe)
    assert two.returncode == 0, two.stderr[-2000:]
    assert two.stdout.count("epoch 2: ") == 2  # of two seeds; the second process is silent
    assert fine_tune_ner.main([*JOB, "--output", "one", *recipe]) == 0
    weights = [load_file(place / name / "model.safetensors") for name in ("one", "two")]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor.float(), weights[1][name].float(), atol=2e-3), name
    assert load_manifest(place / "two").labels == load_manifest(place / "one").labels


def test_a_process_that_fails_fails_the_job(place):
    failed = train_in_two(place, "--output", "new", "--learning-rate", "1e30", "--epochs", "9")
    assert failed.returncode == 1
    assert "take a learning rate below" in failed.stdout + failed.stderr
    assert "a training process failed" in failed.stderr
    assert not (place / "new").exists()
    assert not (place / ".new.training").exists()
