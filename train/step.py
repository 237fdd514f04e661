"""What one training step computes, and what may be added to its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        generator: source of random numbers, on the CPU.
    """

    rows: Tensor
    inputs: Tensor
    features: Tensor
    logits: Tensor
    generator: torch.Generator


ExtraLoss = Callable[[Step], Tensor]
"""A scalar that is added to the classification loss, differentiable in features and logits."""


class FeaturesAndLogits(nn.Module):
    """The network's two outputs that training needs, as one forward pass."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Map inputs (B, 3, H, W) to features (B, K, h, w) and logits (B, 6)."""
        features = self.network.features(inputs)
        return features, self.network.classify(features)
