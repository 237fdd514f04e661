from __future__ import annotations

import pytest
import torch
from sklearn.cluster import KMeans

from train.domains.progressive.kmeans import kmeans
from train.domains.progressive.shards import split_into_shards


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inertia(points: torch.Tensor, assigned: torch.Tensor) -> float:
    return sum(
        float((points[assigned == k] - points[assigned == k].mean(0)).square().sum())
        for k in assigned.unique()
    )


def test_clusters_are_as_tight_as_scikit_learns() -> None:
    centres = 4 * torch.randn(8, 16, generator=generator(1))
    points = centres.repeat(60, 1) + torch.randn(480, 16, generator=generator(2))

    best = min(inertia(points, kmeans(points, 8, generator(seed))) for seed in range(5))

    reference = KMeans(8, n_init=5, random_state=0).fit(points.numpy()).inertia_
    assert best == pytest.approx(reference, rel=1e-3)


def test_fewer_distinct_points_give_fewer_clusters() -> None:
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [5.0, 5.0]])

    assert kmeans(points, 8, generator()).tolist() in ([0, 0, 1], [1, 1, 0])
    assert kmeans(points[:0], 8, generator()).tolist() == []


def test_shards_are_the_pool_and_each_has_one_corpus_and_one_class() -> None:
    features = torch.randn(300, 4, generator=generator())
    labels = torch.randint(6, (300,), generator=generator(1))
    labels[:200][labels[:200] == 4] = 3  # the first corpus has no disgust
    corpora = {"raf-db": range(200), "affectnet": range(200, 300)}

    shards = split_into_shards(features, labels, corpora, 3, seed=0)

    assert sorted(torch.cat([shard.members for shard in shards]).tolist()) == list(range(300))
    assert not [shard for shard in shards if shard.corpus == "raf-db" and shard.label == 4]
    for shard in shards:
        assert (labels[shard.members] == shard.label).all()
        positions = corpora[shard.corpus]
        assert all(position in positions for position in shard.members.tolist())
    assert len({shard.name for shard in shards}) == len(shards)
    again = split_into_shards(features, labels, corpora, 3, seed=0)
    assert all(torch.equal(a.members, b.members) for a, b in zip(shards, again, strict=True))
