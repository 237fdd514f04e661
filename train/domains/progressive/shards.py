"""Shards: the faces of one class of one corpus that look alike to the reference network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from emotion.labels import LABELS
from train.domains.progressive.kmeans import kmeans


@dataclass(frozen=True)
class Shard:
    """A part of a source corpus that is introduced or left out as a whole.

    Attributes:
        corpus: where its faces come from.
        label: their class, 0..5.
        number: which cluster of that class, from 0.
        members: int64 (n,), positions in the pool of all source faces.
    """

    corpus: str
    label: int
    number: int
    members: Tensor

    @property
    def name(self) -> str:
        """Corpus, class and number in one word, unique within a run."""
        return f"{self.corpus}/{LABELS[self.label]}/{self.number}"


def split_into_shards(
    features: Tensor, labels: Tensor, corpora: dict[str, range], clusters: int, seed: int
) -> list[Shard]:
    """Split every class of every corpus by k-means.

    A class that a corpus lacks gives no shard; a small one gives fewer than ``clusters``.

    Args:
        features: float (N, D) of the pool of all source faces.
        labels: int64 (N,), 0..5.
        corpora: which positions of the pool are whose.
        clusters: shards per class and corpus.
        seed: of the clustering.

    Returns:
        Shards in the order of corpora, classes and clusters; together they are the pool.
    """
    shards = []
    for corpus, positions in corpora.items():
        start, stop = positions.start, positions.stop
        for label in range(len(LABELS)):
            members = start + torch.nonzero(labels[start:stop] == label)[:, 0]
            generator = torch.Generator().manual_seed(seed * 1009 + label)
            clusters_of = kmeans(features[members], clusters, generator)
            for number in range(int(clusters_of.max()) + 1 if len(members) else 0):
                shards.append(Shard(corpus, label, number, members[clusters_of == number]))
    return shards
