"""The expression network on an engine: crops in; probabilities, maps and calm out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotion import int8
from emotion.align import CROP_SIZE
from emotion.calibration import Calibration, calm_probabilities
from emotion.cam import class_activation_maps, regular_maps
from emotion.engine.base import Engine
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.errors import ImageError
from emotion.network import EmotionNet, Outputs, normalise
from emotion.weights import EMBEDDED

Array = npt.NDArray[np.float32]

_log = logging.getLogger(__name__)

EXAMPLE = torch.zeros(1, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)
VARYING = (0,)
"""Input of ``ClassifierGraph``: any number of crops."""


class Classified(NamedTuple):
    """What the network says about B crops, calibrated.

    Attributes:
        probabilities: float32 (B, 6).
        cams: float32 (B, 6, 8, 8).
        calm: float32 (B,), 0..1, see ``FaceResult.calm``; None where the weights do not tell.
    """

    probabilities: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]
    calm: npt.NDArray[np.float32] | None


class ClassifierGraph(nn.Module):
    """Everything between crops and feature maps; what follows is linear and costs next to nothing.

    So one compiled model serves every linear layer (``NetworkConfig.conventions``), and those stay
    in float32 where it computes in 8 bits.
    """

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, crops: Tensor) -> tuple[Tensor]:
        """Map crops uint8 (B, 64, 64) to ``EmotionNet.evidence``, float32 (B, K, 8, 8)."""
        network = self.network
        return (network.evidence(normalise(crops, network.config).contiguous()),)


def read_out(network: EmotionNet, features: Array) -> tuple[Outputs, Array]:
    """Return outputs and maps (B, 6, h, w), see ``emotion.cam``, of feature maps (B, K, h, w)."""
    maps = torch.from_numpy(features)
    with torch.inference_mode():
        cams = class_activation_maps(maps, network.head.weight)
    return network.read_out(maps.mean((2, 3))), cams.numpy()


class Classifier:
    """An expression network on an engine; safe to share by threads.

    Args:
        network: what to run.
        engine: where to run it.
        weights: folder of the network's files and the digest of its tensors; where an 8-bit model
            that belongs to them lies there, and helps on this processor, it is used.
    """

    def __init__(
        self, network: EmotionNet, engine: Engine, weights: tuple[Path, str] | None = None
    ) -> None:
        self.engine = engine.name
        self._network = network.eval()
        run = None
        if weights and isinstance(engine, OpenVINOEngine) and int8.helps():
            # What is installed with the code is trusted as the code is.
            graph = None if weights[0] == EMBEDDED else ClassifierGraph(network)
            run = int8.load(*weights, network.config, engine, graph)
            self.engine += " int8" if run else ""
        self.exact = run is None
        """Whether it computes in float32."""
        self._run = run or engine.compile(ClassifierGraph(network), EXAMPLE, VARYING)
        self(EXAMPLE.numpy())  # the first call allocates and compiles; visitors should not wait

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[Outputs, Array]:
        """Classify crops uint8 (B, 64, 64) and explain by maps (B, 6, 8, 8), in one pass."""
        # Models of earlier versions have logits and maps before the features.
        return read_out(self._network, self._run(crops)[-1])

    def classify(self, crops: npt.NDArray[np.uint8]) -> Classified:
        """Classify crops uint8 (B, 64, 64), explain, and tell calm faces, in one forward pass.

        Raises:
            ImageError: if ``crops`` are of another type or size.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE):
            shape = "x".join(map(str, crops.shape))
            raise ImageError(
                f"Crops are uint8 of N x {CROP_SIZE} x {CROP_SIZE}, not {crops.dtype} of {shape}."
            )
        outputs, cams = self(crops)
        config = self._network.config
        return Classified(
            outputs.probabilities(Calibration.of(config)),
            regular_maps(cams, config),
            None if outputs.calm is None else calm_probabilities(outputs.calm.numpy(), config),
        )
