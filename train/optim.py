"""Optimiser, schedule and weight averaging."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from train.config import FitConfig, OptimizerConfig


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov and Hutter, 2019) with decay on weights of layers only."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def learning_rate(epoch: int, index: int, steps: int, config: FitConfig) -> float:
    """Return the rate of one step: linear warm-up, then a cosine to zero at the end of the run.

    The last of several stages has a cosine of its own, see ``ScheduleConfig.last_stage_lr``.

    Args:
        epoch: number of finished epochs.
        index: number of finished steps of the epoch after those.
        steps: steps in that epoch.
        config: gives the peak rate and the schedule.
    """
    lr, schedule = config.optimizer.lr, config.schedule
    now = epoch + index / steps
    if now < schedule.warmup_epochs:
        return lr * min(1.0, (now + 1 / steps) / schedule.warmup_epochs)
    end = schedule.total_epochs
    last = end - schedule.epochs[-1]
    if len(schedule.epochs) > 1 and now >= last:
        return schedule.last_stage_lr * _half_cosine((now - last) / (end - last))
    start = schedule.warmup_epochs
    return lr * _half_cosine((now - start) / max(1e-9, end - start))


def _half_cosine(progress: float) -> float:
    """Fall from 1 to 0 while ``progress`` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class WeightAverage:
    """Exponential moving average of a network's parameters and floating-point buffers.

    The decay rises with the number of updates as min(decay, (1 + n) / (10 + n)), so that the random
    initial weights are forgotten within the first steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present values."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current: dict[str, Tensor] = network.state_dict()
        for name, average in self.network.state_dict().items():
            if average.is_floating_point():
                average.lerp_(current[name], 1 - decay)
            else:
                average.copy_(current[name])
