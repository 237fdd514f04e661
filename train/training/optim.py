"""Optimiser, schedule and weight averaging."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotion.network import EmotionNet
from train.config.fit import FitConfig
from train.config.options import OptimizerConfig, ScheduleConfig


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Build Adam, AdamW (Loshchilov and Hutter, 2019) or SGD with Nesterov's momentum.

    Weights of layers decay; norm layers and biases do not. Frozen ones are left out.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    plain = [p for p in trained if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=config.lr, momentum=config.momentum, nesterov=True, fused=True
        )
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, fused=True)


def learning_rate(
    epoch: int, index: int, steps: int, config: FitConfig, scores: Sequence[float] = ()
) -> float:
    """Return the rate of one step: linear warm-up, then what the schedule says.

    It depends on nothing but its arguments, so there is no state to save.

    Args:
        epoch: number of finished epochs.
        index: number of finished steps of the epoch after those.
        steps: steps in that epoch.
        config: gives the peak rate and the schedule.
        scores: validation macro-F1 of the finished epochs.
    """
    lr, schedule = config.optimizer.lr, config.schedule
    now, start = epoch + index / steps, schedule.warmup_epochs
    if now < start:
        return lr * min(1.0, (now + 1 / steps) / start)
    if schedule.schedule == "warm_restarts":
        return lr * _half_cosine(_cycle_progress(now - start, schedule))
    if schedule.schedule == "plateau":
        return lr * schedule.plateau_factor ** _plateaus(scores, schedule.plateau_patience)
    end = schedule.total_epochs
    last = end - schedule.epochs[-1]
    if len(schedule.epochs) > 1 and now >= last:
        return schedule.last_stage_lr * _half_cosine((now - last) / (end - last))
    return lr * _half_cosine((now - start) / max(1e-9, end - start))


def _cycle_progress(time: float, schedule: ScheduleConfig) -> float:
    """Return how far the running cycle of warm restarts is, 0..1; ``time`` is in epochs."""
    length = float(schedule.restart_epochs)
    while time >= length:
        time -= length
        length *= schedule.restart_factor
    return time / length


def _plateaus(scores: Sequence[float], patience: int) -> int:
    """Count how often more than ``patience`` epochs in a row brought no new best score."""
    best, bad, count = -math.inf, 0, 0
    for score in scores:
        bad = 0 if score > best else bad + 1
        best = max(best, score)
        if bad > patience:
            count, bad = count + 1, 0
    return count


def _half_cosine(progress: float) -> float:
    """Fall from 1 to 0 while ``progress`` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class WeightAverage:
    """Exponential moving average of a network's parameters and floating-point buffers.

    The decay rises with the number of updates as min(decay, (1 + n) / (10 + n)), so that the random
    initial weights are forgotten within the first steps.
    """

    def __init__(self, network: EmotionNet, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: EmotionNet) -> None:
        """Move the average towards the network's present values."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages: dict[str, Tensor] = self.network.state_dict()
        current: dict[str, Tensor] = network.state_dict()
        floating = [name for name, value in averages.items() if value.is_floating_point()]
        pairs = [averages.pop(name) for name in floating], [current[name] for name in floating]
        torch._foreach_lerp_(*pairs, 1 - decay)  # all of them in a few kernels
        for name, count in averages.items():
            count.copy_(current[name])
