"""The classification loss: one formula with the treatments of class imbalance as its options."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotion.errors import DataError
from emotion.labels import SEVEN_LABELS
from train.config.options import ObjectiveConfig, Weighting


def class_weights(
    counts: npt.NDArray[np.int64], scheme: Weighting, effective_beta: float = 0.999
) -> Tensor:
    """Weight each class by how rare it is.

    Args:
        counts: (6,) training images per class, n.
        scheme: ``none`` gives ones, ``inverse`` 1/n, ``sqrt`` n^-1/2, ``effective``
            (1 - beta) / (1 - beta^n), the inverse of the effective number of images (Cui et al.,
            CVPR 2019, eq. 2), and ``dynamic`` log(max n / n) + 1, the base of the dynamically
            weighted balanced loss (Fernando and Tsokos, 2021).
        effective_beta: beta of ``effective``.

    Returns:
        float32 (6,), mean 1; for ``dynamic`` as they are, 1 for the most frequent class.

    Raises:
        DataError: if a class has no training image.
    """
    empty = [SEVEN_LABELS[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(
            f"The training split has no image of {', '.join(empty)}; add some, or train together "
            "with a corpus that has some."
        )
    n = counts.astype(np.float64)
    if scheme == "dynamic":
        return torch.tensor(np.log(n.max() / n) + 1, dtype=torch.float32)
    weights = {
        "none": np.ones(len(n)),
        "inverse": 1 / n,
        "sqrt": n**-0.5,
        "effective": (1 - effective_beta) / (1 - effective_beta**n),
    }[scheme]
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


class Objective:
    """The loss of a batch, averaged over its images.

    With class probabilities p, targets t and weights w of image i it is::

        - sum_ik w_k t_ik (1 - p_ik)^gamma log p_ik / sum_ik w_k t_ik

    which is weighted cross-entropy for gamma = 0 and the focal loss otherwise (Lin et al., ICCV
    2017, eq. 5). ``dynamic`` weights are raised to the power 1 - p_ik and divided by the number of
    images instead (Fernando and Tsokos, 2021), with the term - sum_ik p_ik (1 - p_ik) if
    ``brier_term``. Logit adjustment adds a multiple of the classes' log prior to the logits (Menon
    et al., ICLR 2021, eq. 10; times 1 it is balanced softmax).

    Args:
        config: the options.
        counts: (6,) training images per class.
        prior: float (6,), share of each class among the images that training shows.
        total_epochs: length of the run; weights may be deferred to its end (Cao et al., NeurIPS
            2019, algorithm 1).

    Raises:
        DataError: if a class has no training image.
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        counts: npt.NDArray[np.int64],
        prior: Tensor,
        total_epochs: int,
    ) -> None:
        self._config = config
        self._weights = class_weights(counts, config.class_weights, config.effective_beta)
        self._offset = config.logit_adjustment * prior.float().log()
        self._first_weighted = math.ceil(config.reweight_after * total_epochs)

    def __call__(
        self, logits: Tensor, targets: Tensor, epoch: int, batch: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits: float32 (B, 6).
            targets: float32 (B, 6), class probabilities; zeros for a face that does not count.
            epoch: number of finished epochs.
            batch: targets of the whole batch where these images are one process's share of it. The
                mean of all shares' losses is then the loss of the batch.

        Returns:
            A scalar.
        """
        config, batch = self._config, targets if batch is None else batch
        self._follow(logits.device)
        log_p = (logits + self._offset).log_softmax(1)
        p = log_p.exp()
        weights = self._weights_at(epoch)
        # The targets of a face that says nothing about classes are zeros, and stay so.
        mass = targets.sum(1, keepdim=True) * config.label_smoothing / logits.shape[1]
        smoothed = targets * (1 - config.label_smoothing) + mass
        if config.class_weights == "dynamic":
            factors, total = weights ** (1 - p), batch.sum()
        else:
            factors, total = weights, (batch * weights).sum()
        if config.focal_gamma:
            factors = factors * (1 - p).clamp_min(1e-12) ** config.focal_gamma
        loss = -(factors * smoothed * log_p).sum()
        if config.brier_term:
            loss = loss - (targets.sum(1, keepdim=True) * p * (1 - p)).sum()
        # Of a small batch every face may be a calm one; it teaches nothing about classes then.
        return loss / total.clamp_min(1e-12) * (len(batch) / len(targets))

    def _follow(self, device: torch.device) -> None:
        """Move to where the logits are; after the first batch nothing moves any more."""
        self._weights, self._offset = self._weights.to(device), self._offset.to(device)

    def _weights_at(self, epoch: int) -> Tensor:
        deferred = epoch < self._first_weighted
        return torch.ones_like(self._weights) if deferred else self._weights
