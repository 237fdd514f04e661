"""What torch says, for tests of graphs that other runtimes run."""

from __future__ import annotations

import numpy as np
import torch

from emotion.classifier import ClassifierGraph
from emotion.network import EmotionNet


def features(network: EmotionNet, crops: np.ndarray) -> np.ndarray:
    """Feature maps (B, K, h, w) of crops uint8 (B, 64, 64)."""
    with torch.inference_mode():
        return ClassifierGraph(network)(torch.from_numpy(crops))[0].numpy()
