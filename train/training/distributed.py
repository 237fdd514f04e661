"""Several processes that train one network, started by torchrun.

Every process draws the same batch and the same augmentation, and computes its share of it. Norm
statistics, loss and gradients are those of the whole batch, so the result is that of one process up
to rounding. Only dropout and the erased rectangles of attention consistency are drawn per process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from emotion.errors import ConfigError


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started; without it there is one.

    Args:
        device: where to train; with GPUs, each process gets its own.

    Yields:
        The device of this process.

    Raises:
        ConfigError: if there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise ConfigError(
                f"torchrun started more processes than this machine has GPUs ({gpus}); give it "
                f"--nproc-per-node {gpus}, or train on the CPU with --device cpu."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process; number 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def wait() -> None:
    """Wait until every process is here."""
    if count() > 1:
        dist.barrier()


def check_batch_size(batch_size: int) -> None:
    """Check that a batch divides evenly.

    Raises:
        ConfigError: if it does not.
    """
    if batch_size % count():
        raise ConfigError(
            f"A --batch-size of {batch_size} cannot be shared evenly by {count()} processes; "
            "choose a multiple."
        )


def share(values: Tensor) -> Tensor:
    """Return this process's part of values (N, …) that all processes have."""
    return values.tensor_split(count())[rank()]


def gathered(values: Tensor) -> Tensor:
    """Put the parts of all processes, on the CPU, back together in order."""
    if count() == 1:
        return values
    parts: list[Any] = [None] * count()
    dist.all_gather_object(parts, values)
    return torch.cat(parts)


def mean(value: Tensor) -> Tensor:
    """Return the mean of all processes' values, without gradient."""
    value = value.detach().clone()
    if count() > 1:
        dist.all_reduce(value)
    return value / count()


def everywhere(holds: bool) -> bool:
    """Tell whether something holds in every process."""
    if count() == 1:
        return holds
    answers: list[Any] = [None] * count()
    dist.all_gather_object(answers, holds)
    return all(answers)


def parallel(module: nn.Module) -> nn.Module:
    """Make ``backward`` average the gradients of all processes."""
    return DistributedDataParallel(module) if count() > 1 else module


def synchronise_norms(network: nn.Module) -> None:
    """Replace batch normalisation by one over all processes, in place; names stay."""
    for name, module in network.named_children():
        if isinstance(module, nn.BatchNorm2d):
            setattr(network, name, SynchronisedBatchNorm.like(module))
        else:
            synchronise_norms(module)


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' images.

    torch's own SyncBatchNorm needs GPUs. Shares must be equally large.
    """

    @classmethod
    def like(cls, module: nn.BatchNorm2d) -> SynchronisedBatchNorm:
        """Copy a norm layer with its parameters and buffers."""
        device = module.weight.device
        copy = cls(module.num_features, module.eps, module.momentum, device=device)
        copy.load_state_dict(module.state_dict())
        return copy.train(module.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        if not self.training or count() == 1:
            return super().forward(input)
        x = input.float()
        total = x.numel() // x.shape[1] * count()
        average = _sum_of_all(x.sum((0, 2, 3))) / total
        centred = x - average[:, None, None]
        variance = _sum_of_all(centred.square().sum((0, 2, 3))) / total
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(average, self.momentum)
            self.running_var.lerp_(variance * (total / (total - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        result = centred * scale[:, None, None] + self.bias[:, None, None]
        return result.to(input.dtype)


class _SumOfAll(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        # Every process's loss depends on this process's value.
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient


def _sum_of_all(value: Tensor) -> Tensor:
    """Add the values of all processes, with gradient."""
    result: Tensor = _SumOfAll.apply(value)
    return result
