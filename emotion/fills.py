"""What a part of a face is covered with."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Crops = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]
Fill = Callable[[Crops, Masks], Crops]
"""Maps a crop (64, 64) and masks bool (P, 64, 64) to the crop with each of them covered."""

_STEPS = 25  # of the smooth fill; parts are at most about 18 px wide
_SPREAD = 4.0  # px, of the blur that the smooth fill starts from


def smooth_fill(crop: Crops, masks: Masks) -> Crops:
    """Cover parts of a crop by what surrounds them, without an edge.

    Inside a part the grey solves Laplace's equation with its surrounding as boundary values, so it
    is nowhere darker or brighter than that; Jacobi's iteration from a blur comes close to it.

    Args:
        crop: uint8 (64, 64).
        masks: bool (P, 64, 64), what to cover, each mask for itself.

    Returns:
        uint8 (P, 64, 64).
    """
    inside = np.moveaxis(masks, 0, -1)
    kept = np.where(inside, np.float32(0), np.float32(1))
    grey = np.repeat(crop[:, :, None].astype(np.float32), len(masks), axis=2)
    known = float(crop.mean())
    blurred, weight = _blur(grey * kept), _blur(kept)
    filled = np.where(inside, (blurred + 1e-4 * known) / (weight + 1e-4), grey)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    for _ in range(_STEPS):
        mean = cv2.filter2D(filled, -1, cross, borderType=cv2.BORDER_REPLICATE)
        filled = np.where(inside, mean.reshape(filled.shape), grey)
    return np.asarray(np.rint(np.moveaxis(filled, -1, 0)), np.uint8)


def inpaint_fill(crop: Crops, masks: Masks) -> Crops:
    """The same by another method, to see how much depends on it: Telea's (2004) inpainting."""
    return np.stack(
        [
            np.asarray(cv2.inpaint(crop, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)
            if mask.any()
            else crop
            for mask in masks
        ]
    )


def _blur(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    blurred = cv2.GaussianBlur(planes, (0, 0), _SPREAD, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32).reshape(planes.shape)
