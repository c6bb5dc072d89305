"""GPU scheduling on a standalone cluster whose discovery script names two pretend GPUs a worker."""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from tests.support.places import SHIPPED

pytestmark = [pytest.mark.integration, pytest.mark.model]


@pytest.fixture(scope="module")
def seen(cluster) -> list[dict]:
    """What the tasks of three jobs saw: executors with two GPUs, and one GPU for each task."""
    code, printed = cluster.submit(
        "probe",
        Path(__file__).with_name("probe_gpus.py"),
        conf="gpu.conf",
        spark__executor__cores=2,
        spark__task__cpus=1,
        spark__executor__resource__gpu__amount=2,
        spark__cores__max=4,
    )
    assert code == 0, printed[-3000:]
    tasks = [json.loads(line) for line in printed.splitlines() if line.startswith('{"executor"')]
    assert len(tasks) == 12
    return tasks


def test_tasks_that_run_together_have_different_gpus(seen: list[dict]) -> None:
    together = [
        (one, other)
        for one, other in combinations(seen, 2)
        if one["executor"] == other["executor"]
        and one["begin"] < other["end"]
        and other["begin"] < one["end"]
    ]
    assert together, "no two tasks ran together on an executor, so this test proves nothing"
    for one, other in together:
        assert one["addresses"] != other["addresses"]
    assert {tuple(task["addresses"]) for task in seen} == {("0",), ("1",)}


def test_each_task_has_the_model_of_its_own_gpu(seen: list[dict]) -> None:
    for task in seen:
        [address] = task["addresses"]
        assert task["device"] == f"cuda:{address}" == task["loads"][-1]


def test_a_worker_loads_again_only_for_another_gpu(seen: list[dict]) -> None:
    for task in seen:
        assert all(one != other for one, other in pairwise(task["loads"]))
    # Workers were used again, so that the cache had something to keep.
    assert len({(task["executor"], task["process"]) for task in seen}) < len(seen)


def test_workers_have_their_python_and_our_code_from_spark(seen: list[dict], cluster) -> None:
    for task in seen:
        assert Path(task["python"]) == Path(task["executor"]) / "environment" / "bin" / "python"
        shipped = Path(task["executor"]) / cluster.project_zip.name
        assert Path(task["code"]) == shipped / "udfs" / "__init__.py"


def test_a_promised_gpu_that_is_not_there_ends_the_job_with_the_reason(
    cluster, job: Path, notes: Path, workplace: Path
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so none is missing")
    code, printed = cluster.submit(
        "no-gpu",
        job,
        *("--notes", notes, "--output", workplace / "no-gpu-root", "--model", SHIPPED),
        conf="gpu.conf",
        spark__executor__cores=1,
        spark__task__cpus=1,
        spark__task__maxFailures=1,
        spark__cores__max=1,
    )
    assert code == 1, printed[-3000:]
    [said] = [line for line in printed.splitlines() if line.startswith("extract_entities: error")]
    assert "Spark gave this task the GPU '0', but torch" in said
    assert "sees 0 CUDA devices" in said and "set model.device to cpu" in said
