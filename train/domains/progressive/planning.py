"""What the present network says about the sources: their shards' relevance, and the memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor

from emotion.labels import LABELS
from emotion.network import EmotionNet
from train.config.domains import AdaptationConfig
from train.domains.progressive.curriculum import Curriculum, plan_groups
from train.domains.progressive.memory import select_memory
from train.domains.progressive.progress import Progress
from train.domains.progressive.relevance import centre, class_centroids, score_shards
from train.domains.progressive.shards import split_into_shards
from train.scoring.inference import pooled_features

_TARGET_SAMPLE = 500  # faces of each class that stand for the target


def plan(progress: Progress, options: AdaptationConfig, network: EmotionNet, size: int) -> None:
    """Split the sources into shards, score these, and order them in a curriculum.

    Args:
        progress: gets shards, relevance and curriculum, and a line in its log for each shard.
        options: how many shards, which measure, which thresholds.
        network: the reference, trained on the target alone, in evaluation mode.
        size: side in px at which it runs.
    """
    target, labels = _target_features(progress, network, size)
    first = progress.target.stop
    source = progress.store.select(torch.arange(first, len(progress.store)))
    features = centre(pooled_features(network, source.faces, size), target)
    parts = {
        corpus: range(part.start - first, part.stop - first)
        for corpus, part in progress.parts.items()
        if part.start >= first
    }
    shards = split_into_shards(features, source.labels, parts, options.shards, progress.seed)
    progress.relevance = score_shards(
        options.relevance, shards, features, centre(target, target), labels, progress.seed
    )
    groups = plan_groups(
        list(parts),
        [shard.corpus for shard in shards],
        [relevance.score for relevance in progress.relevance],
        options.relevance_thresholds,
    )
    progress.shards = [replace(shard, members=shard.members + first) for shard in shards]
    progress.curriculum = Curriculum(groups)
    group_of = {shard: i for i, group in enumerate(groups) for shard in group.shards}
    for i, (shard, relevance) in enumerate(zip(shards, progress.relevance, strict=True)):
        progress.record(
            "shard",
            name=shard.name,
            corpus=shard.corpus,
            label=LABELS[shard.label],
            images=len(shard.members),
            relevance=relevance.score,
            nearest=LABELS[relevance.nearest],
            group=group_of.get(i),
        )


def refresh_memory(
    progress: Progress, options: AdaptationConfig, network: EmotionNet, size: int
) -> None:
    """Choose the memory anew, from the old one and the group accepted last.

    Args:
        progress: gets the memory, and a line in its log.
        options: gives the capacity.
        network: the present one, in evaluation mode: old choices are judged by it, too.
        size: side in px at which it runs.
    """
    curriculum = progress.curriculum
    assert curriculum is not None
    newest = next(
        i for i in reversed(range(len(curriculum.groups))) if curriculum.states[i] == "accepted"
    )
    candidates = torch.cat([progress.memory, progress.members(curriculum.groups[newest].shards)])
    target, labels = _target_features(progress, network, size)
    features = centre(pooled_features(network, progress.store.faces[candidates], size), target)
    chosen = select_memory(
        features,
        progress.store.labels[candidates],
        progress.shard_of()[candidates],
        class_centroids(centre(target, target), labels),
        options.memory,
    )
    progress.memory = candidates[chosen]
    owners = Counter(
        progress.shards[i].corpus for i in progress.shard_of()[progress.memory].tolist()
    )
    counts = torch.bincount(progress.store.labels[progress.memory], minlength=len(LABELS))
    progress.record(
        "memory",
        images=len(chosen),
        per_class=dict(zip(LABELS, counts.tolist(), strict=True)),
        per_corpus=dict(owners),
    )


def _target_features(progress: Progress, network: EmotionNet, size: int) -> tuple[Tensor, Tensor]:
    """Features and labels of a sample of the target, the same in every round."""
    labels = progress.store.labels[: progress.target.stop]
    rows = _per_class(labels, _TARGET_SAMPLE, progress.seed)
    return pooled_features(network, progress.store.faces[rows], size), labels[rows]


def _per_class(labels: Tensor, count: int, seed: int) -> Tensor:
    """Choose up to ``count`` rows of every class at random: int64 rows in ascending order."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label)[:, 0]
        chosen.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return torch.cat(chosen).sort().values if chosen else torch.zeros(0, dtype=torch.int64)
