"""What a detector takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face, in pixels of the image it was found in.

    Attributes:
        box: float32 (4,), x0, y0, x1, y1; may reach beyond the image at its borders.
        landmarks: float32 (5, 2), x and y of left eye, right eye, nose tip, left and right mouth
            corner, left as seen in the image.
        score: detector confidence, 0..1.
    """

    box: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32]
    score: float

    @property
    def size(self) -> float:
        """Side in px of the square that has the box's area."""
        width, height = self.box[2] - self.box[0], self.box[3] - self.box[1]
        return float(np.sqrt(max(width, 0.0) * max(height, 0.0)))


class Detector(Protocol):
    """Finds faces in one picture."""

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        *,
        min_score: float = 0.5,
        min_size: float = 16.0,
        max_side: int | None = None,
    ) -> list[Face]:
        """Return every face of at least ``min_score`` and ``min_size`` px, the largest first.

        Args:
            image: uint8 RGB (H, W, 3).
            min_score: lowest accepted confidence, 0..1.
            min_size: smallest accepted side in px of the image, see ``Face.size``.
            max_side: for frames of a video: look only at a copy whose longer side has at most this
                many px, which is faster and blind to small faces; places are steadier then.
        """
        ...

    def detect_around(
        self,
        image: npt.NDArray[np.uint8],
        known: Sequence[Face],
        *,
        min_score: float = 0.5,
        max_side: int | None = None,
    ) -> list[Face] | None:
        """Find the faces of the frame before again, by looking only around their places.

        Args:
            image: uint8 RGB (H, W, 3), the next frame of the same video.
            known: the faces of the frame before, in its px.
            min_score: lowest accepted confidence, 0..1.
            max_side: as for ``detect``, which finds nearly the same places.

        Returns:
            The same faces in the same order; None if one is lost, or if looking everywhere costs no
            more: then ``detect`` is due.
        """
        return None
