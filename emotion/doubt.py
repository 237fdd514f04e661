"""Why no answer about a face can be sure, whatever the network says."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from emotion.align import CROP_SIZE, Matrix, invert
from emotion.covered import is_covered
from emotion.detect import Face
from emotion.reliability import RELIABLE
from emotion.upright import MAX_ROLL, fit

Reason = Literal["perhaps no face", "turned", "cut off", "covered"]

REASONS: tuple[Reason, ...] = ("perhaps no face", "turned", "cut off", "covered")
"""In the order in which they are looked for."""

# Of whole validation faces 1 % are cut off by these bounds, of those without a third 94 %.
_NEAREST = 0.05  # landmark to border, in sides of the face
_MISSING = 0.1  # part of the face's oval that lies outside the picture


def reason_for_doubt(
    face: Face,
    matrix: Matrix,
    crop: npt.NDArray[np.uint8],
    size: tuple[int, int],
    *,
    turned: bool = False,
) -> Reason | None:
    """Say why an answer about a detected face would not be sure, or return None.

    Args:
        face: in px of the picture.
        matrix: (2, 3), picture to crop pixels.
        crop: uint8 (64, 64), the aligned face.
        size: width and height of the picture in px.
        turned: whether it was found standing on its head.
    """
    if face.score < RELIABLE:
        return "perhaps no face"
    if turned or fit(face.landmarks)[0] > MAX_ROLL:
        return "turned"
    if is_cut_off(face, matrix, size):
        return "cut off"
    return "covered" if is_covered(crop) else None


def is_cut_off(face: Face, matrix: Matrix, size: tuple[int, int]) -> bool:
    """Tell whether a picture's border cuts through a face: a landmark at it, or skin beyond it."""
    limit = np.array(size, np.float64)
    nearest = min(float(face.landmarks.min()), float((limit - 1 - face.landmarks).min()))
    if nearest < _NEAREST * face.size:
        return True
    back = invert(matrix)
    points = _OVAL @ back[:, :2].T + back[:, 2]
    inside = ((points >= -0.5) & (points <= limit - 0.5)).all(1)
    return 1 - float(inside.mean()) > _MISSING


def _oval() -> npt.NDArray[np.float64]:
    """Return points (N, 2) in px of the crop that fill the oval of an aligned face."""
    middle = (CROP_SIZE - 1) / 2
    grid = np.stack(np.meshgrid(*[np.arange(4.0, 60, 2)] * 2), -1).reshape(-1, 2)
    across, down = ((grid - middle) / (24, 28)).T
    return np.asarray(grid[across**2 + down**2 < 1])


_OVAL = _oval()
