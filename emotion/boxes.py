"""Boxes x0, y0, x1, y1 and what they share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Box = npt.NDArray[np.floating]


def area(box: Box) -> float:
    """Return the area of a box (4,), 0 where it has none."""
    return float(np.maximum(box[2:] - box[:2], 0).prod())


def intersection(one: Box, other: Box) -> float:
    """Return the area that two boxes (4,) share."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return float(np.maximum(high - low, 0).prod())


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes (4,), 0..1."""
    shared = intersection(one, other)
    return shared / max(area(one) + area(other) - shared, 1e-9)
