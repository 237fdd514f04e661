"""The memory: a bounded choice of source faces that every later batch replays."""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 10


def select_memory(
    features: Tensor, labels: Tensor, shards: Tensor, centroids: Tensor, capacity: int
) -> Tensor:
    """Choose the faces that are both typical of their shard and close to the target.

    Within each class, faces are ranked by density (mean distance to the nearest neighbours of the
    same shard) and by distance to the target's centroid of that class; the lowest sums of the two
    ranks stay. Neighbours need no radius, which would depend on the scale of the features as that
    of DBSCAN does. Each class has the same share of the memory, so that no frequent one fills it.

    Args:
        features: float (N, D) of the candidates, of the present network.
        labels: int64 (N,), 0..5.
        shards: int64 (N,), equal within a shard and different between shards.
        centroids: float (6, D), the target's; a class whose centroid is not finite is ranked by
            density alone.
        capacity: largest size of the memory.

    Returns:
        int64 (n,), positions of the chosen candidates in ascending order; each class has at most
        ``capacity // 6``. The order of the candidates does not matter.
    """
    quota = capacity // len(centroids)
    chosen = [
        _densest_and_closest(members, features[members], shards[members], centroid, quota)
        for label, centroid in enumerate(centroids)
        if len(members := torch.nonzero(labels == label)[:, 0])
    ]
    return torch.cat(chosen).sort().values if chosen else torch.zeros(0, dtype=torch.int64)


def _densest_and_closest(
    members: Tensor, features: Tensor, shards: Tensor, centroid: Tensor, quota: int
) -> Tensor:
    if len(members) <= quota:
        return members
    density = features.new_zeros(len(members))
    for shard in set(shards.tolist()):
        inside = shards == shard
        density[inside] = neighbour_distance(features[inside])
    distance = (features - centroid).norm(dim=1).nan_to_num(0.0)
    ranks = _ranks(density) + _ranks(distance)
    # Sums of ranks are often equal; the distance decides then, not the order of the candidates.
    order = sorted(range(len(members)), key=lambda i: (ranks[i], distance[i], density[i]))
    return members[order[:quota]]


def neighbour_distance(points: Tensor, neighbours: int = NEIGHBOURS) -> Tensor:
    """Mean distance of each point (N, D) to its nearest others: small where they are dense.

    Infinite for a point that is alone.
    """
    nearest = min(neighbours, len(points) - 1)
    if nearest < 1:
        return points.new_full((len(points),), torch.inf)
    parts = []
    for start in range(0, len(points), 512):
        distances = torch.cdist(points[start : start + 512], points)
        rows = torch.arange(len(distances))
        distances[rows, start + rows] = torch.inf
        parts.append(distances.topk(nearest, largest=False).values.mean(1))
    return torch.cat(parts)


def _ranks(values: Tensor) -> Tensor:
    """Rank from 0; equal values share a rank."""
    ranks: Tensor = torch.unique(values, return_inverse=True)[1]
    return ranks
