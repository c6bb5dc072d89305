"""What is scored: distinct windows, slices of the hash space, the device of a task."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyspark.errors import PythonException
from pyspark.sql import functions as F

from pipelines.scoring.distinct_windows import (
    NOTES_A_PARTITION,
    distinct_windows,
    hash_range,
    partitions_for,
    size_of,
    spread,
)
from pipelines.scoring.torch_engine import TorchEngine, _assigned_device
from pipelines.spark.slots import SLOT_ROWS, task_slots
from tests.support.places import SHIPPED
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import ModelPackage, read_manifest


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


def test_the_size_of_texts_is_their_code_points(spark) -> None:
    rows = spark.createDataFrame([("a",), ("é😀",), (None,)], "text string")
    assert size_of(rows) == (3, 3)
    assert size_of(rows.where("false")) == (0, 0)


def test_the_inference_stage_has_as_many_partitions_for_each_slot() -> None:
    assert [partitions_for(4, size) for size in (0, 1, 64_000_000, 64_000_001)] == [4, 4, 4, 8]


@pytest.mark.parametrize(
    ("count", "partitions", "used"),
    [
        (9 * NOTES_A_PARTITION, 1, 3),
        (3 * NOTES_A_PARTITION - 1, 1, 2),
        (2 * NOTES_A_PARTITION - 1, 1, 1),
        (0, 1, 1),
        (9 * NOTES_A_PARTITION, 3, 1),
    ],
)
def test_notes_of_few_partitions_are_spread(spark, count: int, partitions: int, used: int) -> None:
    """Whatever `partitions` says, these rows are in one: what comes out shows what was done."""
    notes = spark.range(0, 300, 1, 1).select(F.col("id").cast("string").alias("note_id"))
    given = spread(notes, count, partitions, slots=3)
    assert given.select(F.spark_partition_id()).distinct().count() == used
    assert sorted(row.note_id for row in given.collect()) == sorted(map(str, range(300)))


def test_a_task_uses_the_gpu_that_spark_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("udfs.network.devices._visible_gpus", lambda: 4)
    gpu = SimpleNamespace(resources=lambda: {"gpu": SimpleNamespace(addresses=["3"])})
    none = SimpleNamespace(resources=dict)
    assert _assigned_device("auto", gpu) == "cuda:3"
    assert _assigned_device("cuda", gpu) == "cuda:3"
    assert _assigned_device("cpu", gpu) == "cpu"
    assert _assigned_device("auto", none) == "auto"
    assert _assigned_device("cuda", None) == "cuda"
    monkeypatch.setattr("udfs.network.devices._visible_gpus", lambda: 0)
    for device in ("auto", "cuda"):
        with pytest.raises(InputError, match="Spark gave this task the GPU '3'"):
            _assigned_device(device, gpu)
    assert _assigned_device("cpu", gpu) == "cpu"


def test_a_package_that_a_machine_does_not_have_is_told_with_the_mend(tmp_path: Path) -> None:
    engine = TorchEngine(ModelPackage(tmp_path / "absent", read_manifest(SHIPPED)))
    with pytest.raises(ModelPackageError, match=r"absent on the executor .*must be ship"):
        engine.classifier()


def test_warming_up_looks_for_the_package_where_workers_are(spark, tmp_path: Path) -> None:
    engine = TorchEngine(ModelPackage(tmp_path / "absent", read_manifest(SHIPPED)))
    with pytest.raises(PythonException, match=r"absent on the executor"):
        engine.warm_up(spark)


def loaded_here(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    from udfs.classifiers import model_loading

    with model_loading._LOADING:  # whoever loads has ended
        models = [" ".join(key) for key in model_loading._LOADED]
    for batch in batches:
        names = pa.array([",".join(models)] * batch.num_rows, pa.string())
        yield pa.RecordBatch.from_arrays([names], names=["models"])


@pytest.mark.model
def test_a_worker_that_was_warmed_up_has_the_model(spark) -> None:
    # No other test has a worker load it in this precision, by this name of the device.
    engine = TorchEngine.from_package(SHIPPED, device="cpu", precision="float32")
    wanted = f"{engine.fingerprint} cpu float32"
    engine.warm_up(spark)
    rows = spark.range(SLOT_ROWS).mapInArrow(loaded_here, "models string")
    # A worker may have begun with the model after this stage came to it, or be a new one.
    deadline = time.monotonic() + 60
    while wanted not in {row.models for row in rows.distinct().collect()}:
        assert time.monotonic() < deadline


def test_warming_up_asks_a_cluster_for_nothing(tmp_path: Path) -> None:
    conf = SimpleNamespace(get=lambda name, default: "spark://host:7077")
    TorchEngine(ModelPackage(tmp_path, read_manifest(SHIPPED))).warm_up(SimpleNamespace(conf=conf))
