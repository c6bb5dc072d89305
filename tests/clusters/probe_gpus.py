"""A program for spark-submit: what each task of a GPU cluster sees and loads, as lines of JSON.

The GPUs are pretended, so torch is told of two and a package is loaded by a stand-in; resources,
workers, the engine and its cache are the real ones.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
from pyspark import TaskContext

from jobs.wiring.start_session import start_session
from pipelines.scoring.torch_engine import TorchEngine
from udfs.package.model_package import REQUIRED_FILES, ModelManifest, ModelPackage

TASKS = 4
SECONDS = 5.0
PRETENDED = ModelManifest("pretend", ("O",), dict.fromkeys(REQUIRED_FILES, "0" * 64))
ENGINE = TorchEngine(ModelPackage(Path("/"), PRETENDED), device="auto")


def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import torch

    import udfs
    from udfs.classifiers import model_loading

    loads: list[str] = udfs.__dict__.setdefault("loads_of_this_worker", [])

    def load(folder: Path, device: str, *rest: object) -> SimpleNamespace:
        loads.append(device)
        manifest = SimpleNamespace(fingerprint="pretend")
        return SimpleNamespace(manifest=manifest, device=device, use=lambda *_: None)

    torch.cuda.is_available, torch.cuda.device_count = (lambda: True), (lambda: 2)
    model_loading.load_classifier = load
    for _ in batches:
        seen = {
            "executor": os.getcwd(),
            "process": os.getpid(),
            "code": os.path.abspath(udfs.__file__),
            "python": sys.executable,
            "begin": time.time(),
            "addresses": TaskContext.get().resources()["gpu"].addresses,
            "device": ENGINE.classifier().device,
            "loads": list(loads),
        }
        time.sleep(SECONDS)  # so that all tasks of a job are at work at the same time
        seen["end"] = time.time()
        yield pa.RecordBatch.from_pydict({"seen": [json.dumps(seen)]})


if __name__ == "__main__":
    spark = start_session("probe")
    for _ in range(3):
        tasks = spark.range(0, TASKS, 1, numPartitions=TASKS)
        for row in tasks.mapInArrow(look, "seen string").collect():
            print(row.seen, flush=True)
