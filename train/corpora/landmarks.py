"""Landmarks of published annotations, reduced to those that alignment uses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def five_landmarks(points: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Reduce 68 landmarks to the five that alignment uses.

    Args:
        points: (68, 2) x, y in pixels, in the order of the 300-W annotation (Sagonas et al. 2013).

    Returns:
        Ten numbers: left eye, right eye, nose tip, left and right mouth corner as seen in the
        image.
    """
    five = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    return tuple(float(value) for point in five for value in point)
