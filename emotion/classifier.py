"""The expression network on an engine: crops in; probabilities, maps and calm out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
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
from emotion.engine.base import Engine, Run
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.errors import ImageError
from emotion.followed import View
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
    in float32 where it computes in 8 bits. The mirror image is not inside: of followed faces one
    view is enough, see ``Tracker.known``.

    Args:
        network: what is compiled.
        mirrors: whether the mean with the mirror image is inside, as in files of earlier versions.
    """

    def __init__(self, network: EmotionNet, mirrors: bool = False) -> None:
        super().__init__()
        self.network = network.eval()
        self.mirrors = mirrors

    def forward(self, crops: Tensor) -> tuple[Tensor]:
        """Map crops uint8 (B, 64, 64) to their last feature maps, float32 (B, K, 8, 8)."""
        network = self.network
        inputs = normalise(crops, network.config).contiguous()
        return (network.evidence(inputs) if self.mirrors else network.features(inputs),)


def evidence(
    run: Run, crops: npt.NDArray[np.uint8], views: Sequence[View]
) -> npt.NDArray[np.float32]:
    """Compute the feature maps that are answered from, see ``EmotionNet.evidence``.

    Args:
        run: a compiled ``ClassifierGraph`` without the mirror image.
        crops: uint8 (B, 64, 64).
        views: of each crop, what the network is to see.

    Returns:
        float32 (B, K, 8, 8), the means over the views.
    """
    straight, mirrored = (
        [at for at, view in enumerate(views) if one in view]
        for one in (View.STRAIGHT, View.MIRRORED)
    )
    # Models of earlier versions have logits and maps before the features.
    maps = run(np.concatenate([crops[straight], crops[mirrored, :, ::-1]]))[-1]
    seen = iter(maps[: len(straight)]), iter(maps[len(straight) :, ..., ::-1])
    result = np.empty((len(crops), *maps.shape[1:]), np.float32)
    for at, view in enumerate(views):
        if view is View.BOTH:
            result[at] = (next(seen[0]) + next(seen[1])) / 2
        else:
            result[at] = next(seen[view is View.MIRRORED])
    return result


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
        shared: let several calls run at a time, see ``emotion.engine.base.Engine.compile``.
    """

    def __init__(
        self,
        network: EmotionNet,
        engine: Engine,
        weights: tuple[Path, str] | None = None,
        *,
        shared: bool = False,
    ) -> None:
        self.engine = engine.name
        self._network = network.eval()
        model = None
        if weights and isinstance(engine, OpenVINOEngine) and int8.helps():
            # What is installed with the code is trusted as the code is.
            graph = None if weights[0] == EMBEDDED else partial(ClassifierGraph, network)
            model = int8.load(*weights, network.config, engine, graph, shared=shared)
            self.engine += " int8" if model else ""
        self.exact = model is None
        """Whether it computes in float32."""
        self.lanes = engine.lanes if shared else 1
        """How many calls run at a time."""
        self._run = (
            model.run
            if model
            else engine.compile(ClassifierGraph(network), EXAMPLE, VARYING, shared=shared)
        )
        inside = model is not None and model.mirrors
        self._view = View.BOTH if network.config.mirror and not inside else View.STRAIGHT
        self(EXAMPLE.numpy())  # the first call allocates and compiles; visitors should not wait

    def __call__(
        self, crops: npt.NDArray[np.uint8], views: Sequence[View] | None = None
    ) -> tuple[Outputs, Array]:
        """Classify crops uint8 (B, 64, 64) and explain by maps (B, 6, 8, 8), in one pass.

        Args:
            crops: uint8 (B, 64, 64).
            views: of each crop, what the network sees where ``NetworkConfig.mirror`` asks for the
                mirror image too; by default both, and always where that is inside an older model.
        """
        if views is None or self._view is View.STRAIGHT:
            views = [self._view] * len(crops)
        return read_out(self._network, evidence(self._run, crops, views))

    def classify(
        self, crops: npt.NDArray[np.uint8], views: Sequence[View] | None = None
    ) -> Classified:
        """Classify crops uint8 (B, 64, 64), explain, and tell calm faces, in one forward pass.

        Args:
            crops: uint8 (B, 64, 64).
            views: see ``__call__``.

        Raises:
            ImageError: if ``crops`` are of another type or size.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE):
            shape = "x".join(map(str, crops.shape))
            raise ImageError(
                f"Crops are uint8 of N x {CROP_SIZE} x {CROP_SIZE}, not {crops.dtype} of {shape}."
            )
        outputs, cams = self(crops, views)
        config = self._network.config
        return Classified(
            outputs.probabilities(Calibration.of(config)),
            regular_maps(cams, config),
            None if outputs.calm is None else calm_probabilities(outputs.calm.numpy(), config),
        )
