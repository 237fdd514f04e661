"""Stochastic features: each one a Gaussian whose spread the network chooses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MOMENTUM = 0.1  # of the running spread, as in batch normalisation


class GaussianFeatures(nn.Module):
    """Turns features into samples around them (the target model of Deng et al., BMVC 2022).

    The standard deviations are in units of each feature's own spread over the data, so that they
    mean the same for every network and layer, and the classifier behind can be used without this
    module: evaluated, it passes the features on unchanged.
    """

    unit: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Linear(width, width)
        self.register_buffer("unit", torch.ones(width))

    def measure(self, features: Tensor) -> None:
        """Set the units to the spread of features (N, D) of the data."""
        self.unit = _spread(features)

    def follow(self, features: Tensor) -> None:
        """Move the units towards the spread of a batch (B, D), as batch normalisation would."""
        if len(features) > 1:
            # A new tensor, since the old one may still be part of a graph.
            self.unit = self.unit.lerp(_spread(features), _MOMENTUM)

    def forward(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Sample once around each feature vector.

        Args:
            mean: float (B, D).

        Returns:
            Samples (B, D), which are ``mean`` itself in evaluation mode, and the entropy (B,): the
            mean over the features of the logarithm of the standard deviation in units, which is
            the differential entropy up to constants.
        """
        deviation = F.softplus(self.scale(mean / self.unit))
        entropy = (deviation + 1e-7).log().mean(1)
        if not self.training:
            return mean, entropy
        return mean + deviation * self.unit * torch.randn_like(mean), entropy


def entropy_hinge(entropy: Tensor, target: float) -> Tensor:
    """Penalise entropies (B,) below the target, so that training spreads every feature."""
    return F.relu(target - entropy).mean()


def _spread(features: Tensor) -> Tensor:
    return features.detach().std(0).clamp_min(1e-6)
