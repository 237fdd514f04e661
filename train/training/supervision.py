"""What a network learns from labels: the classes, each corpus's own convention, and who is calm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from train.config.fit import FitConfig
from train.faces.store import FaceStore
from train.training import distributed
from train.training.losses import Objective
from train.training.sampling import BatchSource
from train.training.step import Scores


class Supervision:
    """The loss of a batch: that of the common layer, plus those of the other outputs.

    A face counts for the common layer and for the layer of its own corpus, both with the same
    ``Objective``: one body, and a layer for each way of labelling (as for several annotators, Guan
    et al., AAAI 2018). The second output's loss is binary cross-entropy against the share of people
    who would call the face calm, averaged over all faces and times ``calm_weight``.

    Args:
        config: of the run.
        source: of the batches; says how frequent classes are.

    Raises:
        DataError: if a class has no training image.
    """

    def __init__(self, config: FitConfig, source: BatchSource) -> None:
        counts, epochs = source.store.counts(), config.schedule.total_epochs
        self._objective = Objective(config.objective, counts, source.prior, epochs)
        self._calm_weight = config.objective.calm_weight

    def __call__(self, scores: Scores, faces: FaceStore, epoch: int) -> Tensor:
        """Compute the loss.

        Args:
            scores: what the network says of this process's share of the batch.
            faces: the whole batch, on the scores' device.
            epoch: number of finished epochs.

        Returns:
            A scalar. The mean of all processes' losses is that of the batch.
        """
        targets = faces.targets
        own = distributed.share(targets)
        loss = self._objective(scores.logits, own, epoch, targets)
        if scores.heads.shape[1]:
            assert faces.corpus is not None
            corpus = distributed.share(faces.corpus)
            of_corpus = scores.heads[torch.arange(len(corpus), device=corpus.device), corpus]
            loss = loss + self._objective(of_corpus, own, epoch, targets)
        if self._calm_weight:
            assert faces.calm is not None
            calm = distributed.share(faces.calm)
            value = F.binary_cross_entropy_with_logits(scores.calm, calm)
            loss = loss + self._calm_weight * value
        return loss
