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

LARGE = 64
"""Side in px from which on a face is looked for without the detector's finest map, which is half of
the work: its priors of 16 and 32 px answer to no box that is wider than 50 px."""

# What a part shows on each side of the face: in sides of the face how far it may move, and in px
# what the detector must see beside it to place it as in the whole picture.
_MARGIN = 0.25
_MARGIN_PX = 40
_MARGIN_PX_SMALL = 64
_NEAREST = 0.5  # margins to an inner border; the place of what comes nearer is off
_SMALLEST = 24  # px; what is off by half a pixel is off by too much of a smaller face
_WORTH = 0.85  # of the picture: larger parts save nothing

Region = tuple[int, int, int, int]


def regions(faces: Sequence[Face], width: int, height: int) -> list[Region]:
    """Return the parts of a picture in which known faces are looked for.

    Args:
        faces: those of the frame before, in px of the picture.
        width: of the picture in px.
        height: of the picture in px.

    Returns:
        x0, y0, x1, y1 for each face, on a grid of ``GRID`` px or at the picture's border. Where the
        parts make up nearly the whole picture, it is the part of all faces if they are ``LARGE``;
        otherwise nothing is returned, as where a face is very small.
    """
    size = np.array([width, height])
    parts: list[Region] = []
    for face in faces:
        middle = (face.box[:2] + face.box[2:]) / 2
        reach = face.size / 2 + _margin(face)
        low = np.clip(np.floor((middle - reach) / GRID) * GRID, 0, size)
        high = np.clip(np.ceil((middle + reach) / GRID) * GRID, 0, size)
        x0, y0, x1, y1 = (int(value) for value in (*low, *high))
        parts.append((x0, y0, x1, y1))
    if any(min(x1 - x0, y1 - y0) < GRID for x0, y0, x1, y1 in parts):
        return []  # it left the picture
    if any(face.size < _SMALLEST for face in faces):
        return []
    looked_at = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in parts)
    if looked_at <= _WORTH * width * height:
        return parts
    return [(0, 0, width, height)] * len(faces) if all(face.size >= LARGE for face in faces) else []


def _margin(face: Face) -> float:
    return max(_MARGIN * face.size, _MARGIN_PX if face.size >= LARGE else _MARGIN_PX_SMALL)


def is_inside(face: Face, part: Region, width: int, height: int) -> bool:
    """Tell whether a face that was found in a part lies so far inside that its place is right.

    Args:
        face: in px of the picture.
        part: one of ``regions``.
        width: of the picture in px.
        height: of the picture in px.
    """
    least = _NEAREST * _margin(face)
    x0, y0, x1, y1 = part
    low, high = face.box[:2] - (x0, y0), (x1, y1) - face.box[2:]
    inner_low, inner_high = np.array([x0 > 0, y0 > 0]), np.array([x1 < width, y1 < height])
    return not ((inner_low & (low < least)).any() or (inner_high & (high < least)).any())


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
    box = (face.box.reshape(2, 2) * scale + shift).ravel()
    points = face.landmarks * scale + shift
    return Face(box.astype(np.float32), points.astype(np.float32), face.score)
