"""Where a model runs and in which precision, from what was asked for and what a worker has."""

from __future__ import annotations

from pathlib import Path

import torch

from udfs.errors import InputError


def resolve_device(device: str) -> torch.device:
    """`auto` → the GPU if there is one; a GPU that was asked for and is missing is an error.

    Raises:
        InputError: there are too few CUDA devices, or the name is not that of a device.
    """
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    try:
        wanted = torch.device("cuda:0" if device in ("auto", "cuda") else device)
    except RuntimeError:
        raise InputError(
            f"model.device is {device!r}, but it must be auto, cpu, cuda or cuda:<index>"
        ) from None
    count = _visible_gpus()
    if wanted.type != "cuda" or (wanted.index or 0) >= count:
        raise InputError(
            f"model.device is {device!r}, but this worker sees {count} CUDA devices: "
            "use device cpu or auto, or give the executor a GPU"
        )
    return wanted


def promised_gpu(address: str) -> str:
    """The name of the device at an address that Spark assigned to a task.

    Args:
        address: the index of a CUDA device, as the discovery script names it.

    Raises:
        InputError: torch sees no such device. Using the CPU instead would be many times slower
            than what the user ordered, and nobody would be told.
    """
    count = _visible_gpus()
    if address not in map(str, range(count)):
        raise InputError(
            f"Spark gave this task the GPU {address!r}, but torch {torch.__version__} sees {count} "
            "CUDA devices in this worker: install torch's CUDA build and the driver on every "
            "executor, let the discovery script name the indices that CUDA shows "
            "(conf/cluster/find_gpus.sh does), or set model.device to cpu"
        )
    return f"cuda:{address}"


def _visible_gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` → bfloat16 where the hardware multiplies it, else float32."""
    if precision == "auto":
        fast = (
            torch.cuda.is_bf16_supported()
            if device.type == "cuda"
            else bool(_cpu_flags() & {"amx_bf16", "avx512_bf16"})
        )
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch or Python ran out of memory; on a CPU, torch has no error class for that."""
    no_class = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or no_class


def _cpu_flags() -> frozenset[str]:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split("\n"):
            if line.startswith("flags"):
                return frozenset(line.split())
    except OSError:
        pass
    return frozenset()
