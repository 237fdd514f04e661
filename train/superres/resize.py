"""Antialiased bicubic resizing as two small matrices, shared by every method."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from emotion.align import CROP_SIZE
from emotion.errors import DataError

TARGET = CROP_SIZE
"""Side in px that every up-scaler delivers unless it was fitted for another."""

SOURCE = 48
"""Side in px of the pictures that methods are fitted for: that of FER-2013."""

GreyImages = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def keys_kernel(distance: Floats) -> Floats:
    """Cubic convolution kernel with a = -1/2.

    Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981,
    eq. 15.

    Args:
        distance: to the sampling point, in source pixels, any shape.

    Returns:
        Weights of the same shape; zero from distance 2 on.
    """
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=256)
def resize_matrix(source: int, target: int) -> Floats:
    """Build the matrix that resizes one axis.

    When the axis shrinks, the kernel is stretched by the factor, which is the antialiasing that
    Pillow applies too. Taps beyond the border are dropped and the rest is scaled up, so that
    every row sums to one.

    Args:
        source: length of the axis in px, at least 1.
        target: wanted length in px, at least 1.

    Returns:
        Read-only float64 array (target, source).

    Raises:
        DataError: if a length is below 1.
    """
    if source < 1 or target < 1:
        raise DataError(
            f"A side of {min(source, target)} px cannot be resized; give at least 1 px."
        )
    step = source / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    distances = (centres[:, None] - np.arange(source)) / max(step, 1.0)
    weights = keys_kernel(np.asarray(distances, np.float64))
    matrix = np.asarray(weights / weights.sum(axis=1, keepdims=True))
    matrix.setflags(write=False)
    return matrix


def resize(images: npt.NDArray[np.floating], height: int, width: int) -> Floats:
    """Resize float images (..., h, w) to (..., height, width); values are not clipped."""
    rows = resize_matrix(images.shape[-2], height)
    columns = resize_matrix(images.shape[-1], width)
    return np.asarray(rows @ images @ columns.T)


def to_grey_levels(images: npt.NDArray[np.floating]) -> GreyImages:
    """Clip to 0..255 and round to uint8."""
    return np.asarray(np.rint(np.clip(images, 0, 255)), np.uint8)


def resize_grey(images: GreyImages, height: int, width: int) -> GreyImages:
    """Resize uint8 images (N, h, w) to (N, height, width), 256 at a time to spare memory."""
    resized = np.empty((len(images), height, width), np.uint8)
    for start in range(0, len(images), 256):
        part = images[start : start + 256].astype(np.float64)
        resized[start : start + 256] = to_grey_levels(resize(part, height, width))
    return resized


def centre_square(image: GreyImages) -> GreyImages:
    """Cut the largest centred square out of (h, w)."""
    side = min(image.shape)
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]
