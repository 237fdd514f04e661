"""Prior boxes of RetinaFace: where they lie, what is said about them, and which to believe."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from retinaface.prior_box import priorbox
from torch import Tensor

Array = npt.NDArray[np.float32]

STEPS = [8, 16, 32]
MIN_SIZES = [[16, 32], [64, 128], [256, 512]]
VARIANCES = [0.1, 0.2]
OVERLAP = 0.4
"""Intersection over union above which two boxes are the same face."""

_LEAST = np.float32(1e-5)  # bounds the odds of a score


# The package builds the prior boxes in a Python loop (milliseconds); a stream reuses one size.
@lru_cache(maxsize=32)
def priors_of(height: int, width: int, left_out: int = 0) -> Array:
    """Return the prior boxes of a picture, float32 (N, 4): centre and size, as parts of its sides.

    Args:
        height: of the picture in px.
        width: of the picture in px.
        left_out: how many of the three maps, the finest first, have none.
    """
    sizes, steps = MIN_SIZES[left_out:], STEPS[left_out:]
    boxes: Tensor = priorbox(sizes, steps, clip=False, image_size=(height, width))
    return boxes.numpy()


def decode(deltas: Array, point_deltas: Array, priors: Array) -> tuple[Array, Array]:
    """Turn what the heads say about N priors into places, in widths and heights of the picture.

    Liu et al., "SSD", ECCV 2016, eq. 2, with its variances; landmarks as box centres (RetinaFace).

    Args:
        deltas: (N, 4), of centre and, logarithmic, of size.
        point_deltas: (N, 10), of five landmarks.
        priors: (N, 4), centre and size.

    Returns:
        Boxes float32 (N, 4) and landmarks (N, 5, 2).
    """
    centres, sizes = priors[:, :2], priors[:, 2:]
    size = sizes * np.exp(deltas[:, 2:] * VARIANCES[1])
    low = centres + deltas[:, :2] * VARIANCES[0] * sizes - size / 2
    points = point_deltas.reshape(-1, 5, 2) * VARIANCES[0] * sizes[:, None]
    return np.hstack([low, low + size]), centres[:, None] + points


def steadied(
    boxes: Array, points: Array, scores: Array, kept: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    """Average each face over all priors that see it, where suppression keeps the likeliest alone.

    Those are nearly equally likely, and their boxes differ by several percent: which one is the
    likeliest changes from frame to frame, and with what is searched. Blending is what BlazeFace
    does against that (Bazarevsky et al., 2019, sec. 3.4); here the weights are the roots of the
    odds, so that a prior that just sees the face hardly counts.

    Args:
        boxes: (N, 4).
        points: (N, 5, 2).
        scores: (N,), 0..1.
        kept: what ``suppress`` returned of them, K indices.

    Returns:
        Boxes (K, 4) and landmarks (K, 5, 2).
    """
    low = np.maximum(boxes[kept, None, :2], boxes[:, :2])
    high = np.minimum(boxes[kept, None, 2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    same = shared > OVERLAP * (areas[kept, None] + areas - shared)
    weights = same * np.sqrt(scores / np.maximum(1 - scores, _LEAST))
    weights /= weights.sum(1, keepdims=True)
    return weights @ boxes, np.einsum("kn,npd->kpd", weights, points)


def suppress(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.intp]:
    """Return which of N boxes (N, 4) overlap no likelier one by more than 0.4, likeliest first.

    OpenCV's greedy suppression; torchvision's is the same but for the order of equal scores.
    """
    sized = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), 0.0, OVERLAP)
    return np.asarray(kept, np.intp)
