"""Zero-shot super-resolution at a cost that a whole corpus can bear.

After Shocher et al., CVPR 2018 (see ``internal_learning``), with two changes that take it from
minutes to milliseconds per picture: the network is tiny, and it starts from weights trained once on
the father-son pairs of many small pictures (no high-resolution ones), so that a few steps on the
picture's own pair remain. That a learned start makes few steps enough is due to J. W. Soh, S. Cho
and N. I. Cho, "Meta-transfer learning for zero-shot super-resolution", CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotion.errors import ConfigError, DataError
from train.superres import files
from train.superres.internal_learning import (
    MIN_SIDE,
    PerPicture,
    Turn,
    Weights,
    initial_weights,
    learn,
    seed_of,
    son_side,
    sons,
)
from train.superres.resize import TARGET, GreyImages
from train.superres.upscaler import check_images
from train.workers import one_thread

WIDTHS = (8, 8)
"""Channels of the hidden layers: 720 weights in three 3x3 layers."""

KIND = "zero-shot start"


def _flip(*axes: int) -> Turn:
    def flip(images: Tensor) -> Tensor:
        return images.flip(axes)

    return flip


# Each flip is its own inverse. Faces are lit from above, so quarter turns are left out.
_FLIPS: tuple[Turn, ...] = (_flip(), _flip(-1), _flip(-2), _flip(-1, -2))


@dataclass(frozen=True)
class SharedStart:
    """Weights from which every picture starts.

    Attributes:
        weights: float32 tensors (out, in, 3, 3), one per layer.
        side: side in px of the pictures they were trained on.
        images: number of those.
        steps: number of training steps.
    """

    weights: Weights
    side: int
    images: int
    steps: int

    def save(self, path: Path) -> None:
        """Write one safetensors file.

        Raises:
            DataError: if it cannot be written.
        """
        facts = {"side": self.side, "images": self.images, "steps": self.steps}
        files.save_arrays(path, self._arrays(), KIND, facts)

    @classmethod
    def load(cls, path: Path) -> SharedStart:
        """Read a file of ``save``.

        Raises:
            WeightsError: if it is missing, damaged, or of another kind.
        """
        arrays, facts = files.load_arrays(path, KIND)
        return cls(tuple(torch.from_numpy(arrays[name]) for name in sorted(arrays)), **facts)

    def _arrays(self) -> files.Arrays:
        return {f"layer{index}": layer.numpy() for index, layer in enumerate(self.weights)}


@dataclass(frozen=True)
class ZeroShot(PerPicture):
    """A few Adam steps per picture, then the median over its four flips.

    Attributes:
        start: shared weights; None starts every picture from random ones drawn from its pixels.
        steps: Adam steps per picture, each on one flip of it, in turn.
        lr: learning rate of those steps.
        back_projections: how often each flip's result, and then their median, is pulled towards
            the picture. That assumes a picture free of noise; 0 is right for compressed ones.
        target: side of the result in px.
    """

    start: SharedStart | None
    steps: int = 8
    lr: float = 3e-4
    back_projections: int = 0
    target: int = TARGET

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if self.steps < 0 or self.back_projections < 0 or not self.lr > 0:
            raise ConfigError(
                "Steps and back-projections must be 0 or more, the learning rate above 0."
            )

    @property
    def turns(self) -> Sequence[tuple[Turn, Turn]]:
        """The four flips."""
        return [(flip, flip) for flip in _FLIPS]

    def serves(self, side: int) -> bool:
        """Tell whether squares of ``side`` px are enlarged: with a start, those of its size."""
        return super().serves(side) and (self.start is None or side == self.start.side)

    def adapt(self, image: npt.NDArray[np.uint8]) -> Weights:
        """Train the weights for one picture uint8 (side, side)."""
        if self.start is None:
            start = initial_weights(WIDTHS, torch.Generator().manual_seed(seed_of(image)))
        else:
            start = self.start.weights
        weights = tuple(layer.clone().requires_grad_() for layer in start)
        father = torch.from_numpy(image)[None, None].float() / 255
        son = sons(father, son_side(len(image), self.target))
        optimizer = torch.optim.Adam(weights, lr=self.lr)
        for step in range(self.steps):
            flip = _FLIPS[step % len(_FLIPS)]
            learn(weights, flip(son), flip(father), optimizer)
        return weights


def train_start(
    images: GreyImages,
    *,
    target: int = TARGET,
    steps: int = 2000,
    batch: int = 32,
    lr: float = 5e-3,
    seed: int = 0,
) -> SharedStart:
    """Train the shared start on the father-son pairs of small pictures.

    Adam on the mean absolute error; the learning rate rises to ``lr`` and falls to nothing in one
    cycle (Smith and Topin, 2018). Every batch is flipped or transposed at random.

    Args:
        images: uint8 (N, side, side) of the corpus's training split.
        target: side in px that pictures will be enlarged to.
        steps: number of batches, at least 2.
        batch: pictures per step.
        lr: peak learning rate.
        seed: of weights and batches.

    Raises:
        ConfigError: if there are fewer than two steps or no pictures per step.
        DataError: if there are no pictures or they have the wrong size.
    """
    check_images(images, target)
    side = images.shape[1]
    if side != images.shape[2] or not MIN_SIDE <= side < target:
        raise DataError(
            f"Training pictures must be square with sides of {MIN_SIDE} to {target - 1} px."
        )
    if len(images) == 0:
        raise DataError("There are no pictures to train on; give some.")
    if steps < 2 or batch < 1:
        raise ConfigError("There must be at least two steps and one picture per step.")
    generator = torch.Generator().manual_seed(seed)
    weights = tuple(layer.requires_grad_() for layer in initial_weights(WIDTHS, generator))
    optimizer = torch.optim.Adam(weights, lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    with one_thread():
        for _ in range(steps):
            chosen = torch.randint(len(images), (batch,), generator=generator).numpy()
            fathers = torch.from_numpy(images[chosen])[:, None].float() / 255
            turn = int(torch.randint(8, (), generator=generator))
            fathers = _FLIPS[turn % 4](fathers.mT if turn >= 4 else fathers)
            learn(weights, sons(fathers, son_side(side, target)), fathers, optimizer)
            schedule.step()
    return SharedStart(tuple(layer.detach() for layer in weights), side, len(images), steps)


def zero_shot_from_nothing() -> ZeroShot:
    """The up-scaler that needs no start: more and larger steps, from random weights."""
    return ZeroShot(None, steps=300, lr=3e-3)
