from __future__ import annotations

import pytest
import torch

from train.domains.progressive.memory import neighbour_distance, select_memory


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Per class a dense blob near the target, a dense one far from it, and outliers."""
    generator = torch.Generator().manual_seed(0)
    features, labels, near = [], [], []
    centroids = torch.full((6, 2), torch.nan)
    for label in (0, 3):
        centroids[label] = torch.tensor([20.0 * label, 0.0])
        blob = 0.3 * torch.randn(150, 2, generator=generator)
        far = 0.3 * torch.randn(150, 2, generator=generator) + 8
        outliers = 12 * torch.rand(60, 2, generator=generator) - 2
        features.append(centroids[label] + torch.cat([blob, far, outliers]))
        labels += [label] * 360
        near += [True] * 150 + [False] * 210
    shards = torch.arange(720) // 360
    return torch.cat(features), torch.tensor(labels), shards, centroids, torch.tensor(near)


def test_the_memory_holds_the_dense_faces_near_the_target() -> None:
    features, labels, shards, centroids, near = scene()

    chosen = select_memory(features, labels, shards, centroids, capacity=600)

    assert len(chosen) == 200
    assert torch.bincount(labels[chosen], minlength=6).tolist() == [100, 0, 0, 100, 0, 0]
    assert near[chosen].float().mean() >= 0.95


def test_the_order_of_the_candidates_does_not_matter() -> None:
    features, labels, shards, centroids, _ = scene()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))

    straight = select_memory(features, labels, shards, centroids, 600)
    shuffled = select_memory(features[order], labels[order], shards[order], centroids, 600)

    assert sorted(order[shuffled].tolist()) == straight.tolist()


def test_a_memory_larger_than_the_data_holds_everything() -> None:
    features, labels, shards, centroids, _ = scene()

    assert select_memory(features, labels, shards, centroids, 100_000).tolist() == list(range(720))
    nothing = select_memory(features[:0], labels[:0], shards[:0], centroids, 600)
    assert nothing.tolist() == []


def test_density_is_judged_within_the_own_shard() -> None:
    # Two interleaved shards: what is dense only because of the other shard is not typical.
    features = torch.tensor([[0.0], [0.1], [0.2], [0.3], [0.15], [9.0], [9.5]])
    labels = torch.zeros(7, dtype=torch.int64)
    shards = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    centroids = torch.full((6, 1), torch.nan)

    chosen = select_memory(features, labels, shards, centroids, capacity=4 * 6)

    assert chosen.tolist() == [0, 1, 2, 3]


def test_the_distance_to_neighbours_is_the_mean_over_the_nearest() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])

    assert neighbour_distance(points, 2).tolist() == pytest.approx([2.0, 1.5, 2.5, 5.0])
    assert neighbour_distance(points[:1], 2).isinf().all()
