"""An 8-bit model of somebody else is tried in a process of its own before it runs in this one.

Its checksum was written by whoever wrote the model. A damaged structure can end the process that
parses it, and an honest-looking one can answer whatever its author likes beside honest tensors. So
a child parses it and computes the features of crops that nobody could foresee; they must be close
to those of the float32 network, whose tensors are what the weights are known by.
"""

from __future__ import annotations

import secrets
import subprocess
import sys

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from emotion import child
from emotion.align import CROP_SIZE
from emotion.child.trial import HEAD

CROPS = 16
FARTHEST = 0.4
"""Largest distance of a crop's features from those of float32, over their length. Measured for the
embedded model on 480 such crops: 0.13 in the median, 0.23 at most."""

_SECONDS = 120


def check(structure: bytes, constants: bytes, graph: nn.Module) -> None:
    """Compare a model's features with those of the float32 network.

    Args:
        structure: content of the ``.xml`` file.
        constants: content of the ``.bin`` file.
        graph: maps crops uint8 (B, 64, 64) to outputs, the last of which are the features.

    Raises:
        ValueError: if it cannot be parsed, or computes something else; the text says which.
    """
    crops = draw_crops(secrets.randbits(64))
    with torch.inference_mode():
        expected = graph(torch.from_numpy(crops))[-1].numpy().reshape(CROPS, -1)
    answer = _ask(HEAD.pack(len(structure), len(constants), CROPS) + structure + constants, crops)
    if len(answer) != expected.nbytes:
        raise ValueError("it computes features of another shape")
    features = np.frombuffer(answer, np.float32).reshape(expected.shape)
    lengths = np.linalg.norm(expected, axis=1) + 1e-6
    farthest = float((np.linalg.norm(features - expected, axis=1) / lengths).max())
    if not farthest <= FARTHEST:  # NaN is refused too
        raise ValueError(f"it computes something else than its tensors ({farthest:.2g} away)")


def draw_crops(seed: int) -> npt.NDArray[np.uint8]:
    """Draw blobs as coarse and as bright as parts of faces: uint8 (CROPS, 64, 64)."""
    generator = np.random.default_rng(seed)
    crops = np.empty((CROPS, CROP_SIZE, CROP_SIZE), np.uint8)
    for crop in crops:
        side = int(2 ** generator.integers(2, 6))
        noise = cv2.resize(
            generator.normal(size=(side, side)).astype(np.float32),
            (CROP_SIZE, CROP_SIZE),
            interpolation=cv2.INTER_CUBIC,
        )
        noise = (noise - noise.mean()) / noise.std()
        grey = noise * generator.uniform(20, 60) + generator.uniform(80, 170)
        crop[:] = np.clip(grey, 0, 255).astype(np.uint8)
    return crops


def _ask(model: bytes, crops: npt.NDArray[np.uint8]) -> bytes:
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "emotion.child.trial"],
            input=model + crops.tobytes(),
            capture_output=True,
            timeout=_SECONDS,
            env=child.environment("OMP_NUM_THREADS"),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError("it takes too long to parse") from None
    if finished.returncode:
        raise ValueError("it cannot be parsed")
    return finished.stdout
