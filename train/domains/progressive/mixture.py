"""Batches that mix faces of several pools in fixed proportions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MAX_REPEATS = 4
"""A face of a small pool is drawn at most so often in an epoch; the first pool fills the rest."""


def draw_plan(
    pools: Sequence[Tensor], batch_size: int, steps: int, generator: torch.Generator
) -> Tensor:
    """Choose the rows of every batch of an epoch.

    Half of each batch comes from the first pool, and the others share the other half. Every pool is
    walked through in random order, again and again.

    Args:
        pools: int64 rows of a store; the first one must not be empty, others may be.
        batch_size: rows per batch.
        steps: batches.
        generator: source of every random number.

    Returns:
        int64 (steps, batch_size); within a batch the first pool's rows come first.
    """
    first, others = pools[0], [pool for pool in pools[1:] if len(pool)]
    share = batch_size // 2 // max(1, len(others))
    counts = [min(share, MAX_REPEATS * len(pool) // steps) for pool in others]
    parts = [_walk(first, steps * (batch_size - sum(counts)), generator).view(steps, -1)]
    for pool, count in zip(others, counts, strict=True):
        parts.append(_walk(pool, steps * count, generator).view(steps, count))
    return torch.cat(parts, 1)


def _walk(pool: Tensor, length: int, generator: torch.Generator) -> Tensor:
    rounds = -(-length // len(pool))
    orders = [torch.randperm(len(pool), generator=generator) for _ in range(rounds)]
    return pool[torch.cat(orders)[:length]] if orders else pool[:0]
