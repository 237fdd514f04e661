"""Bicubic enlargement: the reference that the other methods must beat, and their fallback."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.superres.resize import TARGET, GreyImages, resize_grey
from train.superres.upscaler import check_images


@dataclass(frozen=True, slots=True)
class Bicubic:
    """Keys' cubic convolution (a = -1/2), see ``resize``.

    Attributes:
        target: side of the result in px.
    """

    target: int = TARGET

    def falls_back(self, images: GreyImages) -> npt.NDArray[np.bool_]:
        """Bicubic is the fallback and needs none itself: all false (N,)."""
        return np.zeros(len(check_images(images, self.target)), bool)

    def __call__(self, images: GreyImages) -> GreyImages:
        """Enlarge uint8 (N, h, w) to (N, target, target); see ``UpScaler``."""
        return resize_grey(check_images(images, self.target), self.target, self.target)
