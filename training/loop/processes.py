"""Several processes that train one model: who this one is, and what they tell each other.

torchrun, and so Spark's TorchDistributor, start the processes and set the environment that
`join_processes` reads. Each takes its share of every batch; gradients are averaged by torch's
DistributedDataParallel over gloo, on CPUs. One process needs none of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")

# The others wait while the first process scores an epoch.
LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """This process among `count`; the one of rank 0 tells the world and writes files."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that scores, logs and writes."""
        return self.rank == 0

    def share(self, batch: Sequence[T]) -> list[T]:
        """This process's part of a batch; empty where the batch is too small for all."""
        return list(batch[self.rank :: self.count])

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is called in training: its backward pass averages the gradients."""
        return DistributedDataParallel(model) if self.count > 1 else model

    def total(self, value: float) -> float:
        """The sum over all processes."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(tensor)
        return float(tensor.item())

    def said_by_first(self, value: float | None) -> float | None:
        """What the first process says; the others wait for it. None travels as not a number."""
        if self.count == 1:
            return value
        tensor = torch.tensor(float("nan") if value is None else value, dtype=torch.float64)
        dist.broadcast(tensor, src=0)
        return None if bool(tensor.isnan()) else float(tensor.item())

    def gather(self, tensor: Tensor) -> Tensor:
        """`(processes, …)`: the tensor of each."""
        if self.count == 1:
            return tensor.unsqueeze(0)
        all_of_them = [torch.empty_like(tensor) for _ in range(self.count)]
        dist.all_gather(all_of_them, tensor)
        return torch.stack(all_of_them)


ONE_PROCESS = Processes()


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Joins the processes that were started together, for as long as the context lasts."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ONE_PROCESS
        return
    dist.init_process_group("gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
