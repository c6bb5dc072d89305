"""The main job on a standalone cluster of separate processes gives the rows of a local run.

Driver and executors have our code from the `.zip` alone, and the executors the model from Spark.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.places import SHIPPED

pytestmark = [pytest.mark.integration, pytest.mark.model]


def test_a_standalone_cluster_finds_what_one_process_finds(
    cluster, job: Path, notes: Path, expected: list[tuple], entity_rows, workplace: Path
) -> None:
    root = workplace / "standalone"
    places = ("--notes", notes, "--output", root, "--model", SHIPPED)
    others = set(cluster.work.glob("worker-*/app-*"))  # other tests use the same cluster
    code, printed = cluster.submit(
        "main-job", job, *places, conf="cpu.conf", spark__executor__cores=1, spark__cores__max=2
    )
    assert code == 0, printed[-3000:]
    assert entity_rows(root) == expected
    # Both workers had an executor, and each got the code and the model from Spark.
    applications = set(cluster.work.glob("worker-*/app-*")) - others
    assert {folder.parent.name for folder in applications} == {"worker-1", "worker-2"}
    executors = [folder for place in applications for folder in place.glob("[0-9]*")]
    assert len(executors) >= 2
    weights = hashlib.sha256((SHIPPED / "model.safetensors").read_bytes()).hexdigest()
    for folder in executors:
        assert (folder / cluster.project_zip.name).is_file()
        [shipped] = folder.glob("clinspan-model-*/model.safetensors")
        assert hashlib.sha256(shipped.read_bytes()).hexdigest() == weights
    # The secret and the key of the hashes are nowhere to be read.
    printed += "".join(path.read_text() for path in workplace.glob("*.log"))
    printed += "".join(path.read_text() for path in cluster.work.glob("*/*/*/std*"))
    assert cluster.secret not in printed
    assert cluster.environment["CLINSPAN_HASH_KEY"] not in printed
    assert "lisinopril" not in printed
