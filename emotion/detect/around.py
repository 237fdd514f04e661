"""Where the faces of a video's next frame are looked for: around those of the frame before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emotion.boxes import iou
from emotion.detect.base import Face

GRID = 32
"""Coarsest stride of the detector in px: a part cut on it meets the priors of the whole picture."""

SAME = 0.3
"""Least intersection over union of one face in two frames."""

# What a part shows on each side of the face: how far it may move, and, in px, what the detector
# must see beside a small one to place it as in the whole picture.
_MARGIN = 0.5  # sides of the face
_MARGIN_PX = 48
_WORTH = 0.85  # of the picture: larger parts save nothing

Region = tuple[int, int, int, int]


def regions(faces: Sequence[Face], width: int, height: int) -> list[Region]:
    """Return the parts of a picture in which known faces are looked for.

    Args:
        faces: those of the frame before, in px of the picture.
        width: of the picture in px.
        height: of the picture in px.

    Returns:
        x0, y0, x1, y1 for each face, on a grid of ``GRID`` px or at the picture's border; nothing
        if looking at the whole picture costs about as little.
    """
    size = np.array([width, height])
    parts: list[Region] = []
    for face in faces:
        middle = (face.box[:2] + face.box[2:]) / 2
        reach = face.size / 2 + max(_MARGIN * face.size, _MARGIN_PX)
        low = np.clip(np.floor((middle - reach) / GRID) * GRID, 0, size)
        high = np.clip(np.ceil((middle + reach) / GRID) * GRID, 0, size)
        x0, y0, x1, y1 = (int(value) for value in (*low, *high))
        parts.append((x0, y0, x1, y1))
    if any(min(x1 - x0, y1 - y0) < GRID for x0, y0, x1, y1 in parts):
        return []  # it left the picture
    looked_at = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in parts)
    return parts if looked_at <= _WORTH * width * height else []


def same_face(known: Face, found: Sequence[Face]) -> Face | None:
    """Return which of the faces that were found is the known one, or None if it is lost."""
    fits = [(iou(known.box, face.box), -at) for at, face in enumerate(found)]
    best, at = max(fits, default=(0.0, 0))
    return found[-at] if best >= SAME else None


def moved(face: Face, scale: npt.NDArray[np.floating], shift: npt.NDArray[np.floating]) -> Face:
    """Return a face in px of another picture: ``scale`` times its place, and ``shift`` on top.

    Args:
        face: any.
        scale: (2,), of x and y.
        shift: (2,), in px of the other picture.
    """
    box = face.box * np.tile(scale, 2) + np.tile(shift, 2)
    points = face.landmarks * scale + shift
    return Face(box.astype(np.float32), points.astype(np.float32), face.score)
