"""Maximum mean discrepancy: how far apart two sets of features are, as a loss and as a test."""

from __future__ import annotations

import math

import torch
from torch import Tensor

KERNELS = 5
"""Gaussian kernels of doubling bandwidth, the middle one at the mean distance."""


def mmd(
    x: Tensor,
    y: Tensor,
    *,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
    bandwidth: Tensor | None = None,
) -> Tensor:
    """Squared multi-kernel maximum mean discrepancy (Long et al., ICML 2015), with its gradient.

    The biased estimate: two samples of one distribution give a positive value that shrinks with
    their size, so compare only values of equal sizes.

    Args:
        x: float (N, D).
        y: float (M, D).
        x_weights: (N,), summing to 1, or None for 1/N each.
        y_weights: (M,), summing to 1, or None for 1/M each.
        bandwidth: mean squared distance that sets the kernels' widths; by default that of the
            pooled samples, see ``mean_squared_distance``. It carries no gradient.

    Returns:
        Scalar >= 0, at most 2 * ``KERNELS``; exactly 0 for equal samples.
    """
    pooled = torch.cat([x, y])
    distances = _squared_distances(pooled)
    if bandwidth is None:
        bandwidth = _mean(distances)
    kernel = _kernels(distances, bandwidth)
    n = len(x)
    a = x.new_full((n,), 1 / n) if x_weights is None else x_weights
    b = y.new_full((len(y),), 1 / len(y)) if y_weights is None else y_weights
    return a @ kernel[:n, :n] @ a + b @ kernel[n:, n:] @ b - 2 * (a @ kernel[:n, n:] @ b)


def mean_squared_distance(points: Tensor) -> Tensor:
    """Mean squared distance between different points of (N, D): a bandwidth to share."""
    return _mean(_squared_distances(points))


def class_balance(x_labels: Tensor, y_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weigh two batches so that each class they share has the same mass in both.

    Without this, alignment would pull apart what differs only because one corpus has more happy
    faces than the other. Classes that only one batch shows weigh nothing.

    Args:
        x_labels: int64 (N,).
        y_labels: int64 (M,).

    Returns:
        Weights (N,) and (M,), each summing to 1, or all 0 where the batches share no class.
    """
    shared = set(x_labels.tolist()) & set(y_labels.tolist())
    return tuple(_class_weights(labels, shared) for labels in (x_labels, y_labels))  # type: ignore[return-value]


def ramp(progress: float) -> float:
    """Rise from 0 to 1 while ``progress`` goes from 0 to 1 (Ganin and Lempitsky, ICML 2015)."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def _squared_distances(points: Tensor) -> Tensor:
    # Pair by pair, not by the product of matrices: equal points must be at distance 0 exactly.
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(points, points, compute_mode=mode).square()


def _mean(distances: Tensor) -> Tensor:
    count = len(distances)
    return (distances.detach().sum() / max(count * count - count, 1)).clamp_min(1e-12)


def _kernels(distances: Tensor, bandwidth: Tensor) -> Tensor:
    widths = [bandwidth * 2.0 ** (step - KERNELS // 2) for step in range(KERNELS)]
    return torch.stack([(-distances / width).exp() for width in widths]).sum(0)


def _class_weights(labels: Tensor, shared: set[int]) -> Tensor:
    weights = torch.zeros(len(labels))
    for label in shared:
        members = labels == label
        weights[members] = 1 / (len(shared) * int(members.sum()))
    return weights
