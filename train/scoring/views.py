"""Test-time averaging: several views of one face, whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from emotion.align import CROP_SIZE
from train.config.faces import Averaging

Crops = npt.NDArray[np.uint8]

_BATCH = 64

VIEW_SIZE = 58
"""Side in px of the five parts of ten-crop: the share (.91) of 44 of 48 px, usual on FER-2013."""


def average_over_views(
    classify: Callable[[Crops], npt.NDArray[np.floating]],
    crops: Crops,
    averaging: Averaging,
    description: str = "classifying",
    *,
    mirrors: bool = False,
) -> npt.NDArray[np.float32]:
    """Classify each view and average the probabilities, batch by batch.

    Args:
        classify: from uint8 (B, 64, 64) to probabilities (B, 6).
        crops: uint8 (N, 64, 64), N at least 1.
        averaging: ``none``; ``flip``, the crop and its mirror image; or ``ten-crop``, four corners,
            the centre and their mirror images, enlarged to 64x64 (Krizhevsky et al., NeurIPS 2012,
            section 4.1).
        description: for the progress bar.
        mirrors: whether ``classify`` itself answers from crop and mirror image, see
            ``NetworkConfig.mirror``; mirrored views, which say the same then, are left out.

    Returns:
        float32 (N, 6), rows sum to 1.
    """
    starts = tqdm(range(0, len(crops), _BATCH), description, leave=False)
    batches = (crops[start : start + _BATCH] for start in starts)
    parts = (_views(batch, averaging, mirrors) for batch in batches)
    means = [np.mean([classify(view) for view in views], axis=0) for views in parts]
    return np.asarray(np.concatenate(means), np.float32)


def _views(crops: Crops, averaging: Averaging, mirrors: bool) -> Iterator[Crops]:
    parts = _five_parts(crops) if averaging == "ten-crop" else [crops]
    for part in parts:
        yield part
        if averaging != "none" and not mirrors:
            yield np.ascontiguousarray(part[:, :, ::-1])


def _five_parts(crops: Crops) -> list[Crops]:
    far = CROP_SIZE - VIEW_SIZE
    corners = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
    return [
        np.stack(
            [
                cv2.resize(crop[y : y + VIEW_SIZE, x : x + VIEW_SIZE], (CROP_SIZE, CROP_SIZE))
                for crop in crops
            ]
        )
        for y, x in corners
    ]
