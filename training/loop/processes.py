"""Several processes that train one model: which one this is, and what they tell each other.

torchrun starts the processes and sets the environment that `join_processes` reads; Spark's
TorchDistributor uses torchrun. Each process takes its share of every batch. torch's
DistributedDataParallel averages the gradients over gloo, on CPUs. A single process needs none of
this.
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

# The other processes wait while the first one scores an epoch.
LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """This process among `count`; the one of rank 0 scores, logs and writes files."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that scores, logs and writes."""
        return self.rank == 0

    def share(self, batch: Sequence[T]) -> list[T]:
        """This process's part of a batch; can be empty if examples are fewer than processes."""
        return list(batch[self.rank :: self.count])

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model to call in training: its backward pass averages gradients over processes."""
        return DistributedDataParallel(model) if self.count > 1 else model

    def total(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(tensor)
        return float(tensor.item())

    def said_by_first(self, value: float | None) -> float | None:
        """The value of the first process; the others wait for it. None is sent as not-a-number."""
        if self.count == 1:
            return value
        tensor = torch.tensor(float("nan") if value is None else value, dtype=torch.float64)
        dist.broadcast(tensor, src=0)
        return None if bool(tensor.isnan()) else float(tensor.item())

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, stacked as `(processes, …)`."""
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
