"""The worked settings for clusters hold what every run needs, and the script finds GPUs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

CONF = REPOSITORY / "conf"
# Of one machine: spark-submit's --master, and a driver that does no task's work.
# On a cluster executors may run as another user than the driver.
LOCAL_ONLY = {
    "spark.master",
    "spark.driver.memory",
    "spark.driver.extraJavaOptions",
    "spark.hadoop.fs.permissions.umask-mode",
}


def settings_of(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    settings = dict(pairs)
    assert len(settings) == len(pairs) > 10, f"{path.name} sets something twice"
    return settings


def test_cluster_settings_repeat_the_defaults_that_spark_does_not_read() -> None:
    defaults = settings_of(CONF / "spark" / "spark-defaults.conf")
    needed = {key: value for key, value in defaults.items() if key not in LOCAL_ONLY}
    for name in ("cpu.conf", "gpu.conf"):
        cluster = settings_of(CONF / "cluster" / name)
        assert {key: cluster.get(key) for key in needed} == needed
        assert not LOCAL_ONLY & set(cluster)


def test_gpu_settings_are_the_cpu_settings_and_the_gpus() -> None:
    cpu, gpu = (settings_of(CONF / "cluster" / name) for name in ("cpu.conf", "gpu.conf"))
    assert set(gpu) - set(cpu) == {
        "spark.executor.resource.gpu.amount",
        "spark.executor.resource.gpu.discoveryScript",
        "spark.executor.resource.gpu.vendor",
        "spark.task.resource.gpu.amount",
    }
    assert {key for key in cpu if cpu[key] != gpu.get(key)} == {"spark.task.cpus"}
    # One task at a time for each GPU: by cores and by GPUs.
    assert gpu["spark.task.cpus"] == gpu["spark.executor.cores"]
    assert gpu["spark.task.resource.gpu.amount"] == gpu["spark.executor.resource.gpu.amount"]


@pytest.mark.parametrize(
    ("listed", "visible", "addresses"),
    [
        ("0\\n1\\n", None, ["0", "1"]),
        ("0\\n1\\n2\\n", "2,0", ["0", "1"]),
        ("0\\n1\\n", "", []),
        ("0\\n1\\n", "GPU-1f,-1,0", ["0"]),
        ("No devices were found\\n", None, []),
    ],
)
def test_the_discovery_script_names_what_cuda_will_show(
    listed: str, visible: str | None, addresses: list[str], tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{listed}'\n")
    tool.chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    script = CONF / "cluster" / "find_gpus.sh"
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": addresses}
