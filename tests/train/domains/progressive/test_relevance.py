from __future__ import annotations

from typing import Literal

import pytest
import torch

from train.domains.progressive.relevance import centre, class_centroids, score_shards
from train.domains.progressive.shards import Shard, split_into_shards


def domain(count: int, offset: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rectified features of six classes; ``offset`` turns the domain away from the target."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(6, 32, generator=torch.Generator().manual_seed(99))
    away = torch.randn(6, 32, generator=torch.Generator().manual_seed(98))
    labels = torch.arange(count) % 6
    noise = torch.randn(count, 32, generator=generator)
    return torch.relu(directions[labels] + offset * away[labels] + noise), labels


@pytest.mark.parametrize("measure", ["centroid", "mmd"])
def test_three_domains_are_ordered_by_their_distance_over_twenty_seeds(
    measure: Literal["centroid", "mmd"],
) -> None:
    for seed in range(20):
        target, target_labels = domain(240, 0.0, seed)
        parts = [domain(120, offset, 100 + seed) for offset in (0.3, 0.8, 1.6)]
        pool = torch.cat([features for features, _ in parts])
        labels = torch.cat([labels for _, labels in parts])
        corpora = {name: range(i * 120, i * 120 + 120) for i, name in enumerate(("a", "b", "c"))}
        shards = split_into_shards(pool, labels, corpora, 1, seed=0)

        scores = score_shards(
            measure, shards, centre(pool, target), centre(target, target), target_labels
        )

        means = [
            sum(s.score for s, shard in zip(scores, shards, strict=True) if shard.corpus == name)
            for name in corpora
        ]
        assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("measure", ["centroid", "mmd"])
def test_a_shard_with_another_corpuss_idea_of_its_class_scores_below_zero(
    measure: Literal["centroid", "mmd"],
) -> None:
    target, target_labels = domain(360, 0.0, 0)
    features, labels = domain(180, 0.2, 1)
    members = torch.nonzero(labels == 2)[:, 0]
    honest, mislabelled = Shard("raf-db", 2, 0, members), Shard("raf-db", 3, 0, members)

    first, second = score_shards(
        measure,
        [honest, mislabelled],
        centre(features, target),
        centre(target, target),
        target_labels,
    )

    assert first.score > 0.2
    assert first.nearest == 2
    assert second.score < -0.2
    assert second.nearest == 2


@pytest.mark.parametrize("measure", ["centroid", "mmd"])
def test_a_class_that_the_target_lacks_is_not_relevant(
    measure: Literal["centroid", "mmd"],
) -> None:
    target, target_labels = domain(360, 0.0, 0)
    target, target_labels = target[target_labels != 4], target_labels[target_labels != 4]
    features, labels = domain(180, 0.2, 1)
    shards = split_into_shards(features, labels, {"raf-db": range(180)}, 1, seed=0)

    scores = score_shards(
        measure, shards, centre(features, target), centre(target, target), target_labels
    )

    assert [score.score < 0 for score in scores] == [label == 4 for label in range(6)]


def test_the_score_is_the_cosine_with_the_own_centroid_less_the_best_other() -> None:
    target = torch.eye(6).repeat(2, 1)
    labels = torch.arange(6).repeat(2)
    features = torch.tensor([[0.8, 0.6, 0.0, 0.0, 0.0, 0.0]])
    shard = Shard("raf-db", 0, 0, torch.tensor([0]))

    (score,) = score_shards("centroid", [shard], features, target, labels)

    assert score.score == pytest.approx(0.2)
    assert torch.equal(class_centroids(target, labels), torch.eye(6))
