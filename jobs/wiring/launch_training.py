"""Starts a training job's file in several processes on this machine with Spark's TorchDistributor.

Owns the session that the distributor needs. The processes find each other through the environment
that torchrun sets (see `training/loop/processes.py`); `training/` itself knows nothing of Spark.
"""

from __future__ import annotations

import os
from pathlib import Path

from udfs.errors import ClinspanError, InputError


def is_worker() -> bool:
    """Whether torchrun started this process as one of several."""
    return "WORLD_SIZE" in os.environ


def check_processes(processes: int, device: str) -> None:
    """Refuses a number of processes that cannot train on this device.

    Raises:
        InputError: there is no process, or the device is not the CPU.
    """
    if processes < 1:
        raise InputError(f"--processes {processes} must be at least 1")
    if device != "cpu":
        raise InputError(f"--processes {processes} is for --device cpu, not {device}")


def launch_workers(job: Path, words: list[str], processes: int, output: Path) -> None:
    """Runs the job's file with these arguments in each process, and waits for its output.

    Raises:
        ClinspanError: a process failed; its own message says why.
    """
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    # The distributor needs a session, but in local mode it uses no executor.
    session = SparkSession.builder.master("local[1]").appName("clinspan-training").getOrCreate()
    try:
        distributor = TorchDistributor(num_processes=processes, local_mode=True, use_gpu=False)
        distributor.run(str(job.resolve()), *words)
    except RuntimeError:
        pass
    finally:
        session.stop()
    # Spark's wrapper of torchrun (3.5.9) exits with success even if torchrun fails, so only the
    # output tells.
    if not output.exists():
        raise ClinspanError("a training process failed; what it said stands above")
