"""How much a shard of another corpus looks like the target corpus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.labels import LABELS
from train.domains.progressive.mmd import mean_squared_distance, mmd
from train.domains.progressive.shards import Shard

Measure = Literal["centroid", "mmd"]

_SAMPLE = 200  # faces of each side in one discrepancy; its estimate depends on their number


@dataclass(frozen=True)
class Relevance:
    """What one shard scores.

    Attributes:
        score: the higher the more like the target's faces of its own class; below 0 it is more
            like those of another class. -2..2 by centroid, -1..1 by discrepancy.
        nearest: index of the most similar class, its own or another.
    """

    score: float
    nearest: int


def centre(features: Tensor, target: Tensor) -> Tensor:
    """Subtract the target's mean and scale to length 1, as every comparison here wants it.

    Without the subtraction all cosines of rectified features are close to 1.

    Args:
        features: float (N, D).
        target: float (M, D), features of the target corpus.
    """
    return F.normalize(features - target.mean(0), dim=1)


def class_centroids(features: Tensor, labels: Tensor) -> Tensor:
    """Average centred features per class: (6, D); NaN where a class has no face."""
    return torch.stack([features[labels == label].mean(0) for label in range(len(LABELS))])


def score_shards(
    measure: Measure,
    shards: Sequence[Shard],
    features: Tensor,
    target: Tensor,
    target_labels: Tensor,
    seed: int = 0,
) -> list[Relevance]:
    """Score every shard against the target corpus.

    ``centroid``: the cosine between the shard's centroid and the target's centroid of the same
    class, less the largest cosine with another class's centroid. ``mmd``: the discrepancy to the
    nearest other class less that to its own, divided by the larger of the two (the form of
    Rousseeuw's silhouette, 1987). Both are absolute: no shard's score depends on the other shards.

    Args:
        measure: which of the two.
        shards: of the pool of source faces.
        features: float (N, D) of that pool, from ``centre``.
        target: float (M, D), from ``centre``.
        target_labels: int64 (M,).
        seed: of the samples that ``mmd`` compares.

    Returns:
        One score per shard, below 0 for a shard whose class the target lacks.
    """
    if measure == "centroid":
        centroids = class_centroids(target, target_labels)
        return [_by_centroid(features[shard.members], shard.label, centroids) for shard in shards]
    generator = torch.Generator().manual_seed(seed)
    classes = {
        label: _sample(target[target_labels == label], generator)
        for label in sorted(set(target_labels.tolist()))
    }
    bandwidth = mean_squared_distance(torch.cat(list(classes.values())))
    return [
        _by_discrepancy(
            _sample(features[shard.members], generator), shard.label, classes, bandwidth
        )
        for shard in shards
    ]


def _by_centroid(features: Tensor, label: int, centroids: Tensor) -> Relevance:
    cosines = F.cosine_similarity(features.mean(0)[None], centroids).nan_to_num(-1.0)
    own, other = _own_and_best_other(cosines, label)
    return Relevance(own - other, int(cosines.argmax()))


def _by_discrepancy(
    features: Tensor, label: int, classes: dict[int, Tensor], bandwidth: Tensor
) -> Relevance:
    # The biased estimate falls with the size, so all comparisons have the same.
    size = min(len(features), *(len(sample) for sample in classes.values()))
    similarities = torch.full((len(LABELS),), -torch.inf)
    for other, sample in classes.items():
        similarities[other] = -mmd(features[:size], sample[:size], bandwidth=bandwidth)
    if label not in classes:
        return Relevance(-1.0, int(similarities.argmax()))
    own, best = (-value for value in _own_and_best_other(similarities, label))
    if math.isinf(best):
        return Relevance(1.0, label)
    return Relevance((best - own) / max(own, best, 1e-12), int(similarities.argmax()))


def _own_and_best_other(similarities: Tensor, label: int) -> tuple[float, float]:
    others = torch.cat([similarities[:label], similarities[label + 1 :]])
    return float(similarities[label]), float(others.max())


def _sample(features: Tensor, generator: torch.Generator) -> Tensor:
    return features[torch.randperm(len(features), generator=generator)[:_SAMPLE]]
