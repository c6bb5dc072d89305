"""What is scored: distinct windows, slices of the hash space, the device of a task."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.errors import PythonException
from pyspark.sql import functions as F

from pipelines.inference import (
    TorchEngine,
    _assigned_device,
    distinct_windows,
    hash_range,
    task_slots,
)
from udfs.errors import InputError, ModelPackageError


def hashes(count: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def test_distinct_windows_leave_known_ones_out_and_keep_their_partitions(spark) -> None:
    rows = [(h, f"text {h[:4]}") for h in hashes(200)]
    windows = spark.createDataFrame(rows * 3, "window_hash string, text string")
    known = windows.where(F.col("window_hash") < "8").select("window_hash")
    left = distinct_windows(windows, known, partitions=5)
    found = [row.window_hash for row in left.collect()]
    assert sorted(found) == sorted(h for h in hashes(200) if h >= "8")
    used = left.select(F.spark_partition_id().alias("p")).distinct().count()
    assert used == 5
    assert distinct_windows(windows, None, 2).count() == 200


@pytest.mark.parametrize("borders", [[0, 1], [0, 0.5, 1], [0, 0.001, 0.013, 0.6, 0.9999, 1]])
def test_slices_share_the_windows_without_rest(spark, borders: list[float]) -> None:
    rows = [(h,) for h in [*hashes(300), "0" * 64, "f" * 64]]
    windows = spark.createDataFrame(rows, "window_hash string")
    found = [
        row.window_hash
        for begin, end in pairwise(borders)
        for row in hash_range(windows, begin, end).collect()
    ]
    assert sorted(found) == sorted(row[0] for row in rows)


def test_task_slots_are_those_of_the_session(spark) -> None:
    assert task_slots(spark) == 2


def test_a_task_uses_the_gpu_that_spark_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("udfs.devices._visible_gpus", lambda: 4)
    gpu = SimpleNamespace(resources=lambda: {"gpu": SimpleNamespace(addresses=["3"])})
    none = SimpleNamespace(resources=dict)
    assert _assigned_device("auto", gpu) == "cuda:3"
    assert _assigned_device("cuda", gpu) == "cuda:3"
    assert _assigned_device("cpu", gpu) == "cpu"
    assert _assigned_device("auto", none) == "auto"
    assert _assigned_device("cuda", None) == "cuda"
    monkeypatch.setattr("udfs.devices._visible_gpus", lambda: 0)
    for device in ("auto", "cuda"):
        with pytest.raises(InputError, match="Spark gave this task the GPU '3'"):
            _assigned_device(device, gpu)
    assert _assigned_device("cpu", gpu) == "cpu"


def test_a_package_that_a_machine_does_not_have_is_told_with_the_mend(tmp_path: Path) -> None:
    engine = TorchEngine(tmp_path / "absent", "fingerprint")
    with pytest.raises(ModelPackageError, match=r"absent on the executor .*must be ship"):
        engine.classifier()


def test_warming_up_loads_the_model_in_the_workers_of_this_machine(spark, tmp_path: Path) -> None:
    engine = TorchEngine(tmp_path / "absent", "fingerprint")
    with pytest.raises(PythonException, match=r"absent on the executor"):
        engine.warm_up(spark)


def test_warming_up_asks_a_cluster_for_nothing(tmp_path: Path) -> None:
    conf = SimpleNamespace(get=lambda name, default: "spark://host:7077")
    TorchEngine(tmp_path, "fingerprint").warm_up(SimpleNamespace(conf=conf))
