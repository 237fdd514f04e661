"""Where in the face a heat map has its mass, in words: mouth, brows, eyes, and so on.

The map has 8x8 cells of a 64x64 crop, so a region is an honest statement about an area of the face,
never about a wrinkle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from emotion.align import CROP_SIZE, DEFAULT_ZOOM, template

REGIONS: tuple[str, ...] = (
    "forehead",
    "brows",
    "eyes",
    "nose",
    "cheeks",
    "mouth",
    "chin",
    "surroundings",
)
"""Names of the regions; together they cover the crop, and no pixel belongs to two."""

MIN_LIFT = 1.3
"""A region stands out if its part of the mass is this many times its part of the area."""

MIN_SHARE = 0.1
"""A region with less of the mass is not worth naming."""


@dataclass(frozen=True, slots=True)
class Focus:
    """Which regions a heat map stands out in.

    Attributes:
        shares: part of the map's mass per region, 0..1, in the order of ``REGIONS``; all zero for
            an empty map.
        regions: at most two names, the one with more mass first; empty if the mass is spread
            evenly over the crop, or if there is none.
    """

    shares: dict[str, float]
    regions: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the map holds no evidence at all."""
        return not any(self.shares.values())


def focus(cam: npt.NDArray[np.floating], zoom: float = DEFAULT_ZOOM) -> Focus:
    """Say in which regions of an aligned face a class activation map has its mass.

    A region counts only if it holds more than its area would explain (``MIN_LIFT``): on an even map
    the cheeks have the most mass because they are large, and that says nothing.

    Args:
        cam: (8, 8), values >= 0 and finite; any scale.
        zoom: the crop's zoom, see ``emotion.align.template``.
    """
    mass = cv2.resize(
        np.asarray(cam, np.float32), (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR
    )
    total = float(mass.sum())
    if total <= 0:
        return Focus(dict.fromkeys(REGIONS, 0.0), ())
    regions = region_map(zoom)
    sums = np.bincount(regions.ravel(), mass.ravel().astype(np.float64), len(REGIONS))
    areas = np.bincount(regions.ravel(), minlength=len(REGIONS)) / regions.size
    shares = sums / sums.sum()
    standing_out = [
        i
        for i in np.argsort(-shares, kind="stable")
        if shares[i] >= MIN_SHARE and shares[i] >= MIN_LIFT * areas[i]
    ]
    return Focus(
        {name: float(share) for name, share in zip(REGIONS, shares, strict=True)},
        tuple(REGIONS[i] for i in standing_out[:2]),
    )


@lru_cache(maxsize=4)
def region_map(zoom: float = DEFAULT_ZOOM) -> npt.NDArray[np.intp]:
    """Return the region of every pixel of the aligned crop.

    All borders are fractions of the distance between the template's eyes, so that they move with
    the zoom.

    Returns:
        intp array (64, 64) of indices into ``REGIONS``; read-only.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = template(zoom)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    unit = float(right_eye[0] - left_eye[0])
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE].astype(np.float64)
    across, down = (x - eyes[0]) / unit, (y - eyes[1]) / unit
    to_mouth = float(mouth[1] - eyes[1]) / unit
    to_nose = float(nose[1] - eyes[1]) / unit
    between = (to_nose + to_mouth) / 2

    names = np.full(x.shape, REGIONS.index("cheeks"), np.intp)
    names[down < -0.5] = REGIONS.index("forehead")
    names[(down >= -0.5) & (down < -0.2)] = REGIONS.index("brows")
    names[(down >= -0.2) & (down < 0.2)] = REGIONS.index("eyes")
    names[(down >= 0.2) & (down < between) & (np.abs(across) < 0.3)] = REGIONS.index("nose")
    lips = (down >= between) & (down < to_mouth + 0.35)
    names[lips & (np.abs(across) < 0.55)] = REGIONS.index("mouth")
    names[down >= to_mouth + 0.35] = REGIONS.index("chin")
    # A face is about 2.2 eye distances wide and reaches from 1.1 above the eyes to the chin.
    oval = (across / 1.1) ** 2 + ((down - 0.4) / 1.6) ** 2
    names[oval > 1] = REGIONS.index("surroundings")
    names.flags.writeable = False
    return names
