"""k-means, for splitting the faces of one class into shards."""

from __future__ import annotations

import torch
from torch import Tensor


def kmeans(
    points: Tensor, clusters: int, generator: torch.Generator, iterations: int = 100
) -> Tensor:
    """Cluster points (Lloyd, 1982) from k-means++ seeds (Arthur and Vassilvitskii, 2007).

    Args:
        points: float (N, D).
        clusters: how many are wanted; fewer come back where there are fewer distinct points.
        generator: source of every random number.
        iterations: at most so many rounds of assignment and averaging.

    Returns:
        int64 (N,): the cluster of each point, numbered from 0 without gaps.
    """
    if not len(points):
        return torch.zeros(0, dtype=torch.int64)
    centroids = _seeds(points, clusters, generator)
    assigned = torch.full((len(points),), -1)
    for _ in range(iterations):
        nearest = torch.cdist(points, centroids).argmin(1)
        if torch.equal(nearest, assigned):
            break
        assigned = nearest
        counts = torch.bincount(assigned, minlength=len(centroids))
        sums = torch.zeros_like(centroids).index_add_(0, assigned, points)
        # A cluster that lost all its points keeps its place; it may win some again.
        kept = counts > 0
        centroids[kept] = sums[kept] / counts[kept, None]
    numbered: Tensor = torch.unique(assigned, return_inverse=True)[1]
    return numbered


def _seeds(points: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Draw each seed with a probability proportional to its squared distance to those before."""
    first = torch.randint(len(points), (1,), generator=generator)
    seeds = points[first]
    distances = (points - seeds).square().sum(1)
    while len(seeds) < clusters and distances.sum() > 0:
        chosen = torch.multinomial(distances, 1, generator=generator)
        seeds = torch.cat([seeds, points[chosen]])
        distances = torch.minimum(distances, (points - points[chosen]).square().sum(1))
    return seeds
