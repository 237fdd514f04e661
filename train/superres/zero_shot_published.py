"""Zero-shot super-resolution as published: one network of 222,000 weights per picture.

A. Shocher, N. Cohen and M. Irani, "Zero-shot super-resolution using deep internal learning", CVPR
2018, with the settings of the authors' release: 8 layers of 64 channels, random affine
augmentation, a learning rate that falls when a line fitted to the recent errors stops falling, the
median over 8 turns with back-projection. It takes minutes per picture on a CPU and is there to be
compared with, not to prepare a corpus.

Two deviations: pictures of at most 64 px are smaller than the published crop of 128 px, so that
the father is the whole picture, and affine augmentation mirrors the picture at its border, where
the release puts black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotion.errors import ConfigError
from train.superres.internal_learning import (
    PerPicture,
    Turn,
    Weights,
    detail,
    initial_weights,
    learn,
    seed_of,
    son_side,
    sons,
)
from train.superres.resize import TARGET

AS_IS, TURNED = 0.05, 0.45
"""Probabilities of no augmentation and of one of the 8 turns; the rest is affine."""

MIN_SCALE, SCALE_DIFFERENCE, SHEAR = 0.5, 0.25, 0.1
"""Affine augmentation: least scale; standard deviations of width against height and of shear."""

MIN_LR = 9e-6
"""Training ends when the learning rate falls below this."""

TEST_EVERY, CHECK_EVERY, SLOPE_RANGE, PATIENCE = 50, 60, 256, 256
"""Iterations between tests and between checks of the slope, looked back on, and between drops."""

CHANGE_RATIO = 1.5
"""The learning rate falls when this many times the slope is less than its standard error."""


@dataclass(frozen=True)
class ZeroShotPerImage(PerPicture):
    """Trains a network from nothing on every picture, then enlarges that picture with it.

    Attributes:
        max_steps: iterations after which training ends in any case.
        depth: number of 3x3 layers.
        width: channels of the hidden ones.
        lr: first learning rate of Adam.
        back_projections: applied to the result of every turn and to their median.
        target: side of the result in px.
    """

    max_steps: int = 3000
    depth: int = 8
    width: int = 64
    lr: float = 1e-3
    back_projections: int = 10
    target: int = TARGET

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        counts = min(self.max_steps, self.depth - 1, self.width)
        if counts < 1 or self.back_projections < 0 or not self.lr > 0:
            raise ConfigError(
                "Zero-shot training needs a step, two layers, a channel, and a learning rate "
                "above 0."
            )

    @property
    def turns(self) -> Sequence[tuple[Turn, Turn]]:
        """Four quarter turns of the picture and of its mirror image."""
        return _TURNS

    def adapt(self, image: npt.NDArray[np.uint8]) -> Weights:
        """Train a network for one picture uint8 (side, side) and return its weights."""
        random = np.random.default_rng(seed_of(image))
        generator = torch.Generator().manual_seed(seed_of(image))
        layers = initial_weights((self.width,) * (self.depth - 1), generator)
        weights = tuple(layer.requires_grad_() for layer in layers)
        optimizer = torch.optim.Adam(weights, lr=self.lr)
        father = np.asarray(image / 255, np.float32)
        son = son_side(len(image), self.target)
        steps: list[int] = []
        errors: list[float] = []
        last_drop = 0
        for step in range(self.max_steps):
            augmented = _batch(augment(father, random))
            learn(weights, sons(augmented, son), augmented, optimizer)
            if step % TEST_EVERY == 0:
                steps.append(step)
                errors.append(_reconstruction_error(weights, _batch(father), son))
            due = (step + 1) % CHECK_EVERY == 0 and step - last_drop > PATIENCE
            if due and has_stalled(steps, errors):
                last_drop = step
                for group in optimizer.param_groups:
                    group["lr"] /= 10
                if optimizer.param_groups[0]["lr"] < MIN_LR:
                    break
        return weights


def augment(
    father: npt.NDArray[np.float32], random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Vary a picture (side, side), 0..1: as it is, one of 8 turns, or an affine transformation."""
    kind = random.random()
    if kind < AS_IS:
        return father
    mirrored = father[:, ::-1] if random.random() < 0.5 else father
    if kind < AS_IS + TURNED:
        return np.ascontiguousarray(np.rot90(mirrored, int(random.integers(4))))
    scale = random.uniform(MIN_SCALE, 1)
    difference = random.normal(0, SCALE_DIFFERENCE) / 2
    angle = random.uniform(0, 2 * np.pi)
    shear = random.normal(0, SHEAR, 2)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = np.array([[1, shear[0]], [shear[1], 1]]) @ rotation
    linear = linear @ np.diag([scale + difference, scale - difference])
    centre = np.full(2, (len(father) - 1) / 2)
    matrix = np.column_stack([linear, centre - linear @ centre])
    warped = cv2.warpAffine(
        np.ascontiguousarray(mirrored),
        matrix,
        father.shape,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(np.clip(warped, 0, 1), np.float32)


def has_stalled(steps: list[int], errors: list[float]) -> bool:
    """Fit a line to the recent reconstruction errors and tell whether it has stopped falling.

    Args:
        steps: iterations at which the errors were measured.
        errors: mean squared errors, as many.

    Returns:
        True if 1.5 times the fall per iteration is less than the standard error of that slope.
    """
    recent = SLOPE_RANGE // TEST_EVERY
    x = np.array(steps[-recent:], np.float64)
    y = np.array(errors[-recent:], np.float64)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    standard_error = float(np.sqrt(residual @ residual / (len(x) - 2) / (x @ x)))
    return -CHANGE_RATIO * slope < standard_error


def _reconstruction_error(weights: Weights, father: Tensor, son: int) -> float:
    with torch.no_grad():
        enlarged = sons(father, son)
        restored = (enlarged + detail(weights, enlarged)).clamp(0, 1)
        return float((restored - father).square().mean())


def _batch(image: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(image)[None, None]


def _turn(images: Tensor, quarters: int, mirror: bool) -> Tensor:
    turned = torch.rot90(images, quarters, (-2, -1))
    return turned.flip(-1) if mirror else turned


def _undo(images: Tensor, quarters: int, mirror: bool) -> Tensor:
    straight = images.flip(-1) if mirror else images
    return torch.rot90(straight, -quarters, (-2, -1))


_TURNS: tuple[tuple[Turn, Turn], ...] = tuple(
    (
        partial(_turn, quarters=quarters, mirror=mirror),
        partial(_undo, quarters=quarters, mirror=mirror),
    )
    for mirror in (False, True)
    for quarters in range(4)
)
