"""Faces that stand on their heads: detectors find them with eyes and mouth swapped."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from emotion.align import template, umeyama
from emotion.boxes import intersection
from emotion.detect import Detector, Face
from emotion.errors import AlignmentError
from emotion.reliability import RELIABLE

MAX_ROLL = 60.0
"""Degrees by which a face may lean to a side before it counts as turned."""

# Of upright validation faces 5 % are doubtful by these bounds, of those turned around 97 %.
_DOUBTFUL_SCORE = 0.98
_DOUBTFUL_ROLL = 30.0  # degrees
_DOUBTFUL_ASPECT = 1.08  # width of the box by its height: heads are higher than wide
_DOUBTFUL_RESIDUAL = 0.25  # see ``fit``
_SIDE = 192  # px of the copy that is looked at again, which shows twice the face's side


def turned_around(image: npt.NDArray[np.uint8], face: Face, detector: Detector) -> Face | None:
    """Look at a doubtful face once more, by half a turn.

    Args:
        image: uint8 RGB (H, W, 3), in which it was found.
        face: what was found.
        detector: looks again.

    Returns:
        The face as it is found that way, in px of the image, where that is the likelier one; its
        landmarks keep their order, so that alignment sets it upright. None if it stands already.
    """
    if not _is_doubtful(face):
        return None
    middle, reach = (face.box[:2] + face.box[2:]) / 2, max(face.size, 1.0)
    size = np.array([image.shape[1], image.shape[0]])
    x0, y0 = np.clip(np.floor(middle - reach), 0, size - 1).astype(int)
    x1, y1 = np.clip(np.ceil(middle + reach), (x0 + 1, y0 + 1), size).astype(int)
    part = image[y0:y1, x0:x1][::-1, ::-1]
    scale = _SIDE / max(part.shape[:2])
    columns, rows = max(4, round(part.shape[1] * scale)), max(4, round(part.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    copy = np.asarray(cv2.resize(np.ascontiguousarray(part), (columns, rows), interpolation=how))
    step = np.array([part.shape[1] / columns, part.shape[0] / rows])
    far = np.array([x1, y1])
    for other in detector.detect(copy.astype(np.uint8), min_score=max(face.score, RELIABLE)):
        corners = (far - other.box.reshape(2, 2) * step)[::-1].ravel()
        points = far - 1 - ((other.landmarks + 0.5) * step - 0.5)
        found = Face(corners.astype(np.float32), points.astype(np.float32), other.score)
        if intersection(found.box, face.box) > 0.3 * min(found.size, face.size) ** 2:
            return found
    return None


def fit(landmarks: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Say how landmarks lie compared with the template's.

    Args:
        landmarks: (5, 2) in px.

    Returns:
        Degrees by which the face leans, 0..180, and the root-mean-square distance to the template
        that is left after alignment, in distances between its eyes.
    """
    target = template()
    try:
        matrix = umeyama(landmarks, target)
    except AlignmentError:
        return 180.0, float("inf")
    left = np.asarray(landmarks, np.float64) @ matrix[:, :2].T + matrix[:, 2] - target
    unit = float(np.linalg.norm(target[1] - target[0]))
    residual = float(np.sqrt((left**2).sum(1).mean())) / unit
    return abs(float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))), residual


def _is_doubtful(face: Face) -> bool:
    roll, residual = fit(face.landmarks)
    width, height = face.box[2:] - face.box[:2]
    return bool(
        face.score < _DOUBTFUL_SCORE
        or roll > _DOUBTFUL_ROLL
        or residual > _DOUBTFUL_RESIDUAL
        or width > _DOUBTFUL_ASPECT * height
    )
