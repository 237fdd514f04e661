"""Which detections can be faces: by their landmarks, their pixels, and the boxes beside them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from emotion.detect.base import Face
from emotion.reliability import RELIABLE

MIN_CONTRAST = 6.0
"""Standard deviation in grey levels below which a box holds nothing but noise."""

_SHARED = 0.6  # of the smaller box: then both are the same head


def plausible_faces(image: npt.NDArray[np.uint8], faces: Sequence[Face]) -> list[Face]:
    """Leave out what cannot be a face, and order the rest.

    Args:
        image: uint8 RGB (H, W, 3), in which they were found.
        faces: what a detector found.

    Returns:
        Faces that are ``RELIABLE`` first, then the others; of each kind the largest first.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (face.score < RELIABLE, -face.size)):
        # A reliable detection is a face whatever its landmarks: it may lie on its side.
        if face.score < RELIABLE and not has_face_shape(face.landmarks, face.box):
            continue
        if is_flat(image, face.box) or any(_same_head(face, other) for other in kept):
            continue
        kept.append(face)
    return kept


def has_face_shape(landmarks: npt.NDArray[np.floating], box: npt.NDArray[np.floating]) -> bool:
    """Tell whether five landmarks lie as a face's do, however it is turned in the plane.

    Args:
        landmarks: (5, 2) left and right eye, nose, left and right corner of the mouth, in px.
        box: (4,) of the same face.

    Returns:
        False if they are not finite, the mouth is not below eyes whose left one is left, the nose
        lies above the eyes or below the mouth, or far to one side, or eyes and mouth are much
        closer or wider than a face's.
    """
    points = np.asarray(landmarks, np.float64)
    if not np.isfinite(points).all():
        return False
    eyes, mouth = (points[0] + points[1]) / 2, (points[3] + points[4]) / 2
    across, down = points[1] - points[0], mouth - eyes
    apart, height = float(np.hypot(*across)), float(np.hypot(*down))
    side = float(np.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1.0)))
    if height < 0.15 * side or max(apart, height) > 1.2 * side:
        return False
    # Axes of the face, from its vertical one: in profile both eyes coincide.
    below = down / height
    right = np.array([below[1], -below[0]])
    nose = points[2] - eyes
    widths = (float(across @ right), float((points[4] - points[3]) @ right))
    return (
        min(widths) > -0.1 * side
        and max(widths) > 0.1 * side
        and -0.1 < float(nose @ below) / height < 1.1
        and abs(float(nose @ right)) < 0.5 * side
    )


def is_flat(image: npt.NDArray[np.uint8], box: npt.NDArray[np.floating]) -> bool:
    """Tell whether a box holds hardly any contrast, averaged over 32 x 32 cells."""
    size = np.array([image.shape[1], image.shape[0]])
    x0, y0 = np.clip(np.floor(box[:2]), 0, size).astype(int)
    x1, y1 = np.clip(np.ceil(box[2:]), 0, size).astype(int)
    if x1 <= x0 or y1 <= y0:
        return True
    cells = cv2.resize(image[y0:y1, x0:x1], (32, 32), interpolation=cv2.INTER_AREA)
    return float(cells.mean(2).std()) < MIN_CONTRAST


def _same_head(face: Face, other: Face) -> bool:
    """Tell whether most of the smaller box, and the middle of its landmarks, lies in the larger."""
    small, large = sorted((face, other), key=lambda one: one.size)
    low, high = np.maximum(small.box[:2], large.box[:2]), np.minimum(small.box[2:], large.box[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    middle = small.landmarks.mean(0)
    inside = bool((middle > large.box[:2]).all() and (middle < large.box[2:]).all())
    return inside and shared > _SHARED * small.size**2
