"""The one interface of super-resolution: small grey pictures in, 64x64 ones out."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from emotion.errors import DataError
from train.superres.resize import TARGET, GreyImages

MIN_CONTRAST = 1.0
"""Pictures whose standard deviation is below this many grey levels hold nothing to restore."""

Method = Literal["bicubic", "eigenface_map", "eigenface_lmmse", "zssr", "zssr_per_image"]
"""Names of the methods."""


class UpScaler(Protocol):
    """Enlarges grey pictures, each one independently of the others in the batch."""

    def falls_back(self, images: GreyImages) -> npt.NDArray[np.bool_]:
        """Tell which pictures this method cannot help.

        Args:
            images: uint8 (N, h, w), sides of at most 64 px.

        Returns:
            Bool (N,): true where calling it gives plain bicubic.

        Raises:
            DataError: as for the call.
        """

    def __call__(self, images: GreyImages) -> GreyImages:
        """Enlarge.

        Args:
            images: uint8 (N, h, w), sides of at most 64 px. N may be 0.

        Returns:
            uint8 (N, 64, 64).

        Raises:
            DataError: if the array has another type or shape, or a side above 64 px.
        """


def check_images(images: npt.NDArray[Any], largest: int = TARGET) -> GreyImages:
    """Return the array as it is if an up-scaler can take it.

    Raises:
        DataError: if it is not uint8 (N, h, w) with sides from 1 to ``largest``.
    """
    if images.dtype != np.uint8:
        raise DataError(f"Super-resolution takes grey uint8 pictures, not {images.dtype}.")
    if images.ndim != 3 or min(images.shape[1:]) < 1:
        shape = "x".join(map(str, images.shape))
        raise DataError(f"Super-resolution takes an array N x height x width, not {shape}.")
    if max(images.shape[1:]) > largest:
        height, width = images.shape[1:]
        raise DataError(
            f"Pictures of {width}x{height} are larger than {largest}x{largest}; reduce them "
            "instead of super-resolving them."
        )
    return images
