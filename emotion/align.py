"""Alignment: five landmarks to one template, and back. Training and serving share this file."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from emotion.errors import AlignmentError
from emotion.images import to_grey

CROP_SIZE = 64
"""Side of the aligned crop in pixels."""

DEFAULT_ZOOM = 1.3
"""Scale of the crop relative to the ArcFace template: above 1 the face fills more of it."""

ZOOM_RANGE = (0.6, 1.6)

MAX_RESIDUAL = 0.5
"""Largest root-mean-square distance of fitted landmarks to the template, in template eye distances.

Profiles stay below it; landmarks with left and right swapped do not (0.64)."""

# The five points of ArcFace's 112x112 template (left eye, right eye, nose tip, left and right mouth
# corner; left as seen in the image), Deng et al., CVPR 2019.
_ARCFACE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)

_LONGEST = 32_000  # OpenCV warps pictures of fewer than 32,767 px a side

Points = npt.NDArray[np.floating]
Matrix = npt.NDArray[np.float64]


def template(zoom: float = DEFAULT_ZOOM) -> npt.NDArray[np.float64]:
    """Return where the five landmarks lie in the 64x64 crop.

    The 112 px template is scaled in pixel-centre coordinates and then shrunk by ``zoom`` about the
    centre of its own bounding box, which is moved to just below the centre of the crop so that both
    brows and chin stay inside.

    Args:
        zoom: scale relative to the ArcFace template, 0.6..1.6.

    Returns:
        float64 array (5, 2) of x, y in pixels; pixel centres are integers.

    Raises:
        AlignmentError: if ``zoom`` is outside that range.
    """
    low, high = ZOOM_RANGE
    if not low <= zoom <= high:
        raise AlignmentError(f"The zoom must lie between {low} and {high}, not {zoom}.")
    points = (_ARCFACE + 0.5) * (CROP_SIZE / 112) - 0.5
    centre = (points.min(0) + points.max(0)) / 2
    target = np.array([(CROP_SIZE - 1) / 2, (CROP_SIZE - 1) / 2 + 4.0])
    return np.asarray((points - centre) * zoom + target)


def umeyama(source: Points, target: Points) -> Matrix:
    """Fit the least-squares similarity transform without reflection.

    What Umeyama solves in any number of dimensions ("Least-squares estimation of transformation
    parameters between two point patterns", IEEE TPAMI 13(4), 1991, eqs. 34-43). With points of the
    plane as complex numbers it is a line through the origin, ``b ~ z a``, fitted to the centred
    points: z is ``sum(b conj(a)) / sum(|a|^2)``.

    Args:
        source: (N, 2) points.
        target: (N, 2) points that correspond to them.

    Returns:
        (2, 3) matrix M with ``target ~ source @ M[:, :2].T + M[:, 2]``.

    Raises:
        AlignmentError: if the points are not finite or coincide (no scale can be fitted).
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
        raise AlignmentError("Landmarks must be an N x 2 array, as many as the template has.")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise AlignmentError("The landmarks hold values that are not numbers.")
    source_mean, target_mean = source.mean(0), target.mean(0)
    source_centred, target_centred = source - source_mean, target - target_mean
    variance = float((source_centred**2).sum() / len(source))
    extent = float(np.abs(source).max())
    if variance <= (1e-6 * max(extent, 1.0)) ** 2:
        raise AlignmentError("The landmarks coincide, so the face cannot be aligned.")
    both = target_centred.T @ source_centred / (len(source) * variance)
    along, across = both[0, 0] + both[1, 1], both[1, 0] - both[0, 1]
    linear = np.array([[along, -across], [across, along]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def invert(matrix: Matrix) -> Matrix:
    """Invert a (2, 3) affine matrix; the result maps crop pixels to photo pixels."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def warp(
    image: npt.NDArray[np.uint8], matrix: Matrix, size: int = CROP_SIZE
) -> npt.NDArray[np.uint8]:
    """Warp an image into a square crop, anti-aliased when it shrinks.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        matrix: (2, 3), photo pixels to crop pixels.
        size: side of the crop in pixels.

    Returns:
        uint8 (size, size) or (size, size, 3); pixels outside the photo mirror it.
    """
    matrix = np.array(matrix, np.float64)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.5 or max(image.shape[:2]) > _LONGEST:
        image, matrix = _reduce(image, matrix, scale)
    # OpenCV never returns from mirroring a picture that is one pixel wide or high.
    thin = min(image.shape[:2]) < 2
    warped = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (size, size),
        flags=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if thin else cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, np.uint8)


def _reduce(
    image: npt.NDArray[np.uint8], matrix: Matrix, scale: float
) -> tuple[npt.NDArray[np.uint8], Matrix]:
    """Cut out what the crop needs and average it down so that one bilinear tap is enough."""
    factor = max(1, int(1 / scale))
    corners = np.array([[0, 0], [CROP_SIZE, 0], [0, CROP_SIZE], [CROP_SIZE, CROP_SIZE]], np.float64)
    reached = corners @ invert(matrix)[:, :2].T + invert(matrix)[:, 2]
    height, width = image.shape[:2]
    margin = 2 * factor
    x0 = int(np.clip(np.floor(reached[:, 0].min()) - margin, 0, width - 1))
    y0 = int(np.clip(np.floor(reached[:, 1].min()) - margin, 0, height - 1))
    x1 = int(np.clip(np.ceil(reached[:, 0].max()) + margin, x0 + 1, width))
    y1 = int(np.clip(np.ceil(reached[:, 1].max()) + margin, y0 + 1, height))
    part = image[y0:y1, x0:x1]
    columns = max(1, round(part.shape[1] / factor))
    rows = max(1, round(part.shape[0] / factor))
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    # Pixel centres: photo = (small + 0.5) * step - 0.5 + origin, composed with the given matrix.
    step = np.array([part.shape[1] / columns, part.shape[0] / rows])
    offset = 0.5 * step - 0.5 + np.array([x0, y0])
    linear = matrix[:, :2] * step
    return np.asarray(small, np.uint8), np.column_stack(
        [linear, matrix[:, :2] @ offset + matrix[:, 2]]
    )


def align_face(
    image: npt.NDArray[np.uint8], landmarks: Points, zoom: float = DEFAULT_ZOOM
) -> tuple[npt.NDArray[np.uint8], Matrix]:
    """Cut the aligned grey crop of one face.

    Args:
        image: uint8 RGB (H, W, 3).
        landmarks: (5, 2) x, y in pixels: left eye, right eye, nose tip, left and right corner of
            the mouth.
        zoom: see ``template``.

    Returns:
        Grey crop uint8 (64, 64) and the (2, 3) matrix from photo to crop pixels.

    Raises:
        AlignmentError: if the landmarks coincide, are mirrored, or fit no face.
    """
    target = template(zoom)
    matrix = umeyama(landmarks, target)
    fitted = np.asarray(landmarks, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    error = float(np.sqrt(((fitted - target) ** 2).sum(1).mean()))
    residual = error / float(np.linalg.norm(target[1] - target[0]))
    if residual > MAX_RESIDUAL:
        raise AlignmentError(
            f"The landmarks fit no face (they miss the template by {residual:.2f} eye distances)."
        )
    return to_grey(warp(image, matrix)), matrix


def plain_crop(image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Matrix]:
    """Resize a whole picture to the grey crop, keeping its proportions (centre square).

    Returns:
        Grey crop uint8 (64, 64) and the (2, 3) matrix from photo to crop pixels.
    """
    height, width = image.shape[:2]
    return box_crop(image, np.array([0, 0, width, height]))


def box_crop(
    image: npt.NDArray[np.uint8], box: npt.NDArray[np.floating] | npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.uint8], Matrix]:
    """Cut the centre square of a box, upright: for faces whose landmarks cannot be aligned.

    Args:
        image: uint8 RGB (H, W, 3).
        box: (4,) x0, y0, x1, y1 in pixels, edges not centres.

    Returns:
        Grey crop uint8 (64, 64) and the (2, 3) matrix from photo to crop pixels.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    scale = CROP_SIZE / max(min(x1 - x0, y1 - y0), 1.0)
    # Pixel centres: crop = (photo + 0.5 - centre of the box) * scale + 32 - 0.5.
    offset = (CROP_SIZE - 1) / 2
    matrix = np.array(
        [
            [scale, 0.0, (0.5 - (x0 + x1) / 2) * scale + offset],
            [0.0, scale, (0.5 - (y0 + y1) / 2) * scale + offset],
        ]
    )
    return to_grey(warp(image, matrix)), matrix
