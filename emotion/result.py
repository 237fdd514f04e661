"""One face and what the network says about it: the numbers, the line, and the one JSON of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion.align import Matrix
from emotion.calibration import CALM_BOUND
from emotion.labels import CALM, LABELS, NOT_SURE

DECIMALS = 5
"""Of every probability and score that leaves Python."""

PIXEL_DECIMALS = 2
"""Of every coordinate in px that leaves Python."""


def rounded(value: float | np.floating[Any] | None) -> float | None:
    """Round a probability or a score as all of them are rounded; None stays None."""
    return None if value is None else round(float(value), DECIMALS)


def named(probabilities: npt.NDArray[np.float32]) -> dict[str, float]:
    """Return probabilities (6,) rounded, by the names of their classes."""
    return {
        name: round(float(value), DECIMALS)
        for name, value in zip(LABELS, probabilities, strict=True)
    }


@dataclass(frozen=True, repr=False, eq=False)
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

    @property
    def rectangle(self) -> tuple[float, float, float, float] | None:
        """Left, top, width and height of the box in px of the photo; None without a box."""
        if self.box is None:
            return None
        x0, y0, x1, y1 = (float(value) for value in self.box)
        return x0, y0, x1 - x0, y1 - y0

    def to_dict(self) -> dict[str, Any]:
        """Return everything but pixels and maps as JSON values.

        The command line, the HTTP interface and the live view send what stands here.

        Returns:
            ``label``, ``answer``, ``sure``, ``reason`` and ``calm`` as the attributes of these
            names; ``candidates``, the two most probable classes; ``probabilities`` by class;
            ``box``, four numbers, and ``landmarks``, five pairs, in px of the photo; ``score``.
            Whatever was not detected is None.
        """
        return {
            "label": self.label,
            "answer": self.answer,
            "sure": self.sure,
            "reason": self.reason,
            "calm": rounded(self.calm),
            "candidates": list(self.candidates),
            "probabilities": named(self.probabilities),
            "box": _pixels(self.box),
            "landmarks": _pixels(self.landmarks),
            "score": rounded(self.score),
        }

    def __repr__(self) -> str:
        """One line: what people are told, the leading classes, and where the face is."""
        told = f"{self.answer} ({self.reason})" if self.reason else self.answer
        order = self.probabilities.argsort()[::-1][: 1 if told == self.label else 2]
        leading = ", ".join(
            f"{'' if told == LABELS[i] else LABELS[i] + ' '}{self.probabilities[i]:.2f}"
            for i in order
        )
        place = ""
        if self.rectangle is not None:
            x, y, width, height = (round(value) for value in self.rectangle)
            place = f", {width}x{height} px at {x},{y}"
        return f"<{told}{' ' if told == self.label else ': '}{leading}{place}>"


class Faces(list[FaceResult]):
    """The faces of one picture that were analysed.

    Attributes:
        found: how many there were, those included that ``max_faces`` left out.
        whole: whether they were looked for in the whole picture.
    """

    def __init__(
        self, results: Iterable[FaceResult] = (), found: int = 0, *, whole: bool = True
    ) -> None:
        """Take the results."""
        super().__init__(results)
        self.found = max(found, len(self))
        self.whole = whole


def _pixels(values: npt.NDArray[np.float32] | None) -> list[Any] | None:
    return None if values is None else values.astype(float).round(PIXEL_DECIMALS).tolist()
