"""What one training step computes, and what may be added to its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emotion.network import EmotionNet


@dataclass(frozen=True)
class Step:
    """What one training step computed, before its loss.

    Attributes:
        rows: int64 (B,), which faces of the source's store these are.
        inputs: float32 (B, 3, size, size), the augmented and normalised crops.
        features: (B, K, h, w), the last feature maps.
        logits: float32 (B, 6).
        generator: source of random numbers, on the device.
    """

    rows: Tensor
    inputs: Tensor
    features: Tensor
    logits: Tensor
    generator: torch.Generator


ExtraLoss = Callable[[Step], Tensor]
"""A scalar that is added to the classification loss, differentiable in features and logits."""


def class_maps(features: Tensor, layer: nn.Linear) -> Tensor:
    """Map features (B, K, h, w) to what speaks for and against every class, float32 (B, 6, h, w).

    The signed map of ``emotion.cam.class_activation_maps``, not divided by the cells. Gradients
    reach the features and not the layer.
    """
    return torch.einsum("bkhw,ck->bchw", features.float(), layer.weight.detach())


class Scores(NamedTuple):
    """What every output of the network says of B crops.

    Attributes:
        logits: (B, 6), of the common layer.
        heads: (B, H, 6), of the layers of H conventions; H may be 0.
        calm: (B,), of the second output; empty where there is none.
    """

    logits: Tensor
    heads: Tensor
    calm: Tensor

    def float(self) -> Scores:
        """Return them in float32, in which losses are computed."""
        return Scores(*(scores.float() for scores in self))


class FeaturesAndScores(nn.Module):
    """All that training needs of the network, as one forward pass."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, Scores]:
        """Map inputs (B, 3, H, W) to features (B, K, h, w) and scores."""
        network = self.network
        features = network.features(inputs)
        pooled = network.dropout(features.mean((2, 3)))
        heads = [head(pooled) for head in network.heads.values()]
        calm = pooled.new_zeros(0) if network.calm is None else network.calm(pooled)[:, 0]
        empty = pooled.new_zeros(len(pooled), 0, network.fc.out_features)
        stacked = torch.stack(heads, 1) if heads else empty
        return features, Scores(network.fc(pooled), stacked, calm)
