"""What both zero-shot methods share: the network, the father-son pairs, the ensemble.

A. Shocher, N. Cohen and M. Irani, "Zero-shot super-resolution using deep internal learning", CVPR
2018. A network learns from one picture alone: the picture (the father) is reduced to a son by the
same factor by which it is to be enlarged, and the network learns what enlarging the son by bicubic
interpolation misses. The same network is then applied to the enlarged picture.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from train.superres.resize import (
    Floats,
    GreyImages,
    resize,
    resize_grey,
    resize_matrix,
    to_grey_levels,
)
from train.superres.upscaler import check_images
from train.workers import one_thread

MIN_SIDE = 24
"""Smaller pictures have sons too small to learn from."""

INIT_VARIANCE = 0.1
"""Variance of the initial weights times the fan-in, as published."""

Weights = tuple[Tensor, ...]
Turn = Callable[[Tensor], Tensor]


def initial_weights(widths: tuple[int, ...], generator: torch.Generator) -> Weights:
    """Draw the weights of 3x3 layers without biases.

    Args:
        widths: channels of the hidden layers.
        generator: of the normal values, which have mean 0 and variance 0.1 / fan-in.

    Returns:
        float32 tensors (out, in, 3, 3), one per layer.
    """
    channels = (1, *widths, 1)
    return tuple(
        torch.randn(after, before, 3, 3, generator=generator)
        * (INIT_VARIANCE / (9 * before)) ** 0.5
        for before, after in pairwise(channels)
    )


def detail(weights: Weights, images: Tensor) -> Tensor:
    """Predict what bicubically enlarged images (N, 1, H, W), 0..1, lack: the same shape."""
    hidden = images
    for layer in weights[:-1]:
        hidden = F.relu(F.conv2d(hidden, layer, padding=1))
    return F.conv2d(hidden, weights[-1], padding=1)


def son_side(side: int, target: int) -> int:
    """Side of the son of a picture: as much smaller than it as the target is larger."""
    return round(side * side / target)


def sons(fathers: Tensor, son: int) -> Tensor:
    """Reduce fathers (..., side, side) to ``son`` px and enlarge them to their size again."""
    side = fathers.shape[-1]
    lost = resize_matrix(son, side) @ resize_matrix(side, son)
    matrix = torch.from_numpy(lost.astype(np.float32))
    return matrix @ fathers @ matrix.T


def learn(
    weights: Weights, sons_: Tensor, fathers: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    """Make one step on the mean absolute error between enhanced sons and fathers."""
    loss = F.l1_loss(sons_ + detail(weights, sons_), fathers)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def back_project(enlarged: Floats, image: Floats, times: int) -> Floats:
    """Pull enlarged pictures towards the given one: y <- clip(y + up(I - down(y))).

    Args:
        enlarged: (..., H, W), 0..255.
        image: (h, w), 0..255.
        times: number of iterations.

    Returns:
        The same shape as ``enlarged``.
    """
    for _ in range(times):
        missing = image - resize(enlarged, *image.shape)
        enlarged = np.clip(enlarged + resize(missing, *enlarged.shape[-2:]), 0, 255)
    return enlarged


def ensemble(
    weights: Weights,
    image: npt.NDArray[np.uint8],
    target: int,
    turns: Sequence[tuple[Turn, Turn]],
    back_projections: int,
) -> GreyImages:
    """Apply the network to turned copies of a picture and take the median of the results.

    Args:
        weights: of the network.
        image: uint8 (side, side).
        target: side of the result in px.
        turns: pairs of a flip or rotation of (..., H, W) and its inverse.
        back_projections: applied to each result and then to the median.

    Returns:
        uint8 (target, target).
    """
    grey = image.astype(np.float64)
    bicubic = resize(grey, target, target)
    base = torch.from_numpy((bicubic / 255).astype(np.float32))
    turned = torch.stack([turn(base) for turn, _ in turns])[:, None]
    with torch.no_grad():
        details = detail(weights, turned)[:, 0]
    undone = torch.stack([undo(one) for one, (_, undo) in zip(details, turns, strict=True)])
    # Added to the bicubic result of the reference itself, so that no detail means no difference.
    results = bicubic + 255 * undone.double().numpy()
    fused = np.median(back_project(results, grey, back_projections), axis=0)
    return to_grey_levels(back_project(fused, grey, back_projections))


class PerPicture(ABC):
    """Enlarges every picture by a network that learns from that picture; an ``UpScaler``.

    Attributes:
        target: side of the result in px.
        back_projections: see ``ensemble``.
    """

    target: int
    back_projections: int

    @property
    @abstractmethod
    def turns(self) -> Sequence[tuple[Turn, Turn]]:
        """Over which the median is taken, see ``ensemble``."""

    @abstractmethod
    def adapt(self, image: npt.NDArray[np.uint8]) -> Weights:
        """Train the weights for one picture uint8 (side, side)."""

    def serves(self, side: int) -> bool:
        """Tell whether squares of ``side`` px are enlarged by a network."""
        return MIN_SIDE <= side < self.target

    def falls_back(self, images: GreyImages) -> npt.NDArray[np.bool_]:
        """Tell which pictures uint8 (N, h, w) get bicubic: bool (N,), all equal."""
        check_images(images, self.target)
        height, width = images.shape[1:]
        return np.full(len(images), not (height == width and self.serves(height)))

    def __call__(self, images: GreyImages) -> GreyImages:
        """Enlarge uint8 (N, side, side) to (N, target, target); see ``UpScaler``."""
        if bool(self.falls_back(images).any()):
            return resize_grey(images, self.target, self.target)
        enlarged = np.empty((len(images), self.target, self.target), np.uint8)
        with one_thread():
            for index, image in enumerate(images):
                weights = self.adapt(image)
                enlarged[index] = ensemble(
                    weights, image, self.target, self.turns, self.back_projections
                )
        return enlarged


def seed_of(image: npt.NDArray[np.uint8]) -> int:
    """Seed that depends on the pixels of one picture and on nothing else."""
    return int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big") >> 1
