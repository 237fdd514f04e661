"""What is answered about one face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emotion.align import Matrix
from emotion.calibration import CALM_BOUND
from emotion.labels import CALM, LABELS, NOT_SURE


@dataclass(frozen=True)
class FaceResult:
    """What the network says about one face, and why.

    Attributes:
        box: float32 (4,), x0, y0, x1, y1 in px of the photo; None if nothing was detected.
        landmarks: float32 (5, 2) in px of the photo, or None.
        score: confidence of the detector, 0..1, or None.
        probabilities: float32 (6,), in the order of ``LABELS``, summing to 1.
        cams: float32 (6, 8, 8), evidence for each class over the crop, non-negative; the classes'
            maps share one scale.
        crop: uint8 (64, 64), the aligned grey face that the network saw.
        matrix: float64 (2, 3), photo to crop pixels.
        sure: whether the confidence reaches ``NetworkConfig.abstain_below``, and there is no reason
            for doubt.
        calm: probability that the face shows no clear expression, 0..1 with .5 as the bound; None
            where the weights do not tell.
        reason: one of ``emotion.doubt.REASONS``, or None: why no answer about this face is sure.
    """

    box: npt.NDArray[np.float32] | None
    landmarks: npt.NDArray[np.float32] | None
    score: float | None
    probabilities: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]
    crop: npt.NDArray[np.uint8]
    matrix: Matrix
    sure: bool = True
    calm: float | None = None
    reason: str | None = None

    @property
    def answer(self) -> str:
        """What people are told: a class name, ``labels.NOT_SURE`` or ``labels.CALM``."""
        if self.reason is None and self.calm is not None and self.calm >= CALM_BOUND:
            return CALM
        return self.label if self.sure else NOT_SURE

    @property
    def index(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return LABELS[self.index]

    @property
    def confidence(self) -> float:
        """Probability of the most probable class."""
        return float(self.probabilities[self.index])

    @property
    def candidates(self) -> tuple[str, str]:
        """Names of the two most probable classes: what the answer is between if it is not sure."""
        first, second = self.probabilities.argsort()[::-1][:2]
        return LABELS[first], LABELS[second]
