"""Why, by trial: each part of the face is covered in turn, and the network is asked again.

Occlusion sensitivity (Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV
2014, section 4.2), with parts of the face instead of a square that slides over the picture. Unlike
a heat map, what it says can be checked: cover the mouth yourself and look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from emotion.align import CROP_SIZE, MAX_RESIDUAL, template
from emotion.calibration import CALM_BOUND
from emotion.fills import Crops, Fill, Masks
from emotion.labels import LABELS

if TYPE_CHECKING:
    from emotion.result import FaceResult

Array = npt.NDArray[np.float32]
Classify = Callable[[Crops], tuple[Array, Array, Array | None]]
"""Answers crops uint8 (B, 64, 64), see ``emotion.classifier.Classified``."""

PARTS: tuple[str, ...] = ("brows", "eyes", "nose", "mouth", "cheeks", "chin")
"""Parts of the face that are covered; no pixel belongs to two."""

FAINT = 0.05
"""A class with a lower probability has almost nothing that speaks for it."""

LEAST = 0.1
"""Share of its probability that a class must lose, for a part to be called decisive."""

MARGIN = 0.05
"""How far ahead another class must be, 0..1, for a cover to turn the answer into it."""

_COLUMN = np.arange(CROP_SIZE, dtype=np.float64)

Kind = Literal["turns", "calmed", "unsure", "falls", "none", "faint", "calm"]

SENTENCES: dict[Kind, str] = {
    "turns": "Covering {part} turns {label} into {other}.",
    "calmed": "Without {part}, no clear expression is left.",
    "unsure": "Without {part}, {label} falls from {before} to {after} % and is no longer sure.",
    "falls": "Without {part}, {label} falls from {before} to {after} %.",
    "none": "No single part decides this.",
    "faint": "Almost nothing here speaks for {label}.",
    "calm": "Nothing here speaks clearly for one of the six expressions.",
}
"""What is said in English; the page has the same in its table of strings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the cover test found for one class of one face.

    Attributes:
        kind: ``turns``: with the part covered, another class is the answer; ``calmed``: "no clear
            expression" is; ``unsure``: "not sure" is; ``falls``: the class is less probable;
            ``none``: no single part decides; ``faint``: the class had almost nothing that speaks
            for it; ``calm``: the answer is "no clear expression" as it is.
        label: the class.
        part: the decisive one of ``PARTS``, or None for the last three.
        before: probability of the class, 0..1.
        after: the same with the part covered; ``before`` where there is none.
        other: the class that the answer turns into, or None.
    """

    kind: Kind
    label: str
    part: str | None
    before: float
    after: float
    other: str | None = None

    def __str__(self) -> str:
        """The same as an English sentence."""
        return SENTENCES[self.kind].format(
            part=f"the {self.part}",
            label=self.label.capitalize(),
            other=(self.other or "").capitalize(),
            before=round(100 * self.before),
            after=round(100 * self.after),
        )


@dataclass(frozen=True)
class CoverTest:
    """A face's answer, and what becomes of it when one part is covered.

    Attributes:
        probabilities: float32 (6,), of the crop as it is.
        covered: float32 (6, 6), a row per part in the order of ``PARTS``.
        masks: bool (6, 64, 64), which pixels of the crop each part has; a part that lies outside
            the crop has none, and its row is that of the crop as it is.
        abstain_below: the highest probability below which the answer is "not sure".
        calm: float32 (7,), of the crop as it is and of every row, see ``FaceResult.calm``; None
            where the weights do not tell.
    """

    probabilities: npt.NDArray[np.float32]
    covered: npt.NDArray[np.float32]
    masks: Masks
    abstain_below: float = 0.0
    calm: npt.NDArray[np.float32] | None = None

    def finding(self, index: int | None = None) -> Finding:
        """Say what decides about a class.

        If the class is a sure answer, parts count first whose covering turns it into another sure
        one, and then those that leave no clear expression. Of several, and if there are none, it is
        the part that takes most probability from the class.

        Args:
            index: of the class, 0..5; by default the most probable one.
        """
        strongest = int(self.probabilities.argmax())
        calm = self.calm is not None and self.calm[0] >= CALM_BOUND
        label = LABELS[strongest if index is None else index]
        at = LABELS.index(label)
        before = float(self.probabilities[at])
        if index is None and calm:
            return Finding("calm", label, None, before, before)
        if before < FAINT:
            return Finding("faint", label, None, before, before)
        answered = at == strongest and before >= self.abstain_below and not calm
        kind, part = self._decisive(at, answered)
        if part is None:
            return Finding("none", label, None, before, before)
        other = LABELS[int(self.covered[part].argmax())] if kind == "turns" else None
        return Finding(kind, label, PARTS[part], before, float(self.covered[part, at]), other)

    def _decisive(self, index: int, answered: bool) -> tuple[Kind, int | None]:
        """Find the decisive part, and how it is; ``answered``: the class is a sure answer."""
        lost = self.probabilities[index] - self.covered[:, index]
        top = self.covered.max(1)
        if answered:
            calmed = np.zeros(len(PARTS)) if self.calm is None else self.calm[1:]
            ahead = top - self.covered[:, index] >= MARGIN
            turns = ahead & (top >= self.abstain_below) & (calmed < CALM_BOUND)
            if turns.any():
                return "turns", int(np.where(turns, lost, -1).argmax())
            if (calmed >= CALM_BOUND + MARGIN).any():
                return "calmed", int(calmed.argmax())
        part = int(lost.argmax())
        if lost[part] < max(LEAST * self.probabilities[index], FAINT):
            return "none", None
        return ("unsure" if answered and top[part] < self.abstain_below else "falls"), part


def cover_parts(
    classify: Classify,
    crops: Crops,
    masks: Masks,
    fill: Fill,
    abstain_below: float,
) -> list[CoverTest]:
    """Cover parts of crops one by one, in one forward pass with the crops as they are.

    Args:
        classify: answers crops.
        crops: uint8 (B, 64, 64).
        masks: bool (B, 6, 64, 64), see ``part_masks``.
        fill: what parts are covered with.
        abstain_below: see ``CoverTest``.
    """
    batch = [
        np.concatenate([crop[None], fill(crop, parts)])
        for crop, parts in zip(crops, masks, strict=True)
    ]
    probabilities, _, calm = classify(np.concatenate(batch))
    rows = probabilities.reshape(len(batch), -1, len(LABELS))
    calms = [None] * len(batch) if calm is None else calm.reshape(len(batch), -1)
    return [
        CoverTest(own[0], own[1:], parts, abstain_below, how_calm)
        for own, parts, how_calm in zip(rows, masks, calms, strict=True)
    ]


def cover_faces(
    classify: Classify, faces: Sequence[FaceResult], fill: Fill, abstain_below: float
) -> list[CoverTest | None]:
    """Test several faces in one forward pass, each with its answer.

    Returns:
        A test for each face; None where its parts are not known, see ``landmarks_on_crop``.
    """
    points = [landmarks_on_crop(face) for face in faces]
    known = [at for at, landmarks in enumerate(points) if landmarks is not None]
    tests: list[CoverTest | None] = [None] * len(faces)
    if known:
        crops = np.stack([faces[at].crop for at in known])
        masks = np.stack([part_masks(one) for one in points if one is not None])
        found = cover_parts(classify, crops, masks, fill, abstain_below)
        for at, test in zip(known, found, strict=True):
            tests[at] = test
    return tests


def landmarks_on_crop(face: FaceResult) -> npt.NDArray[np.float64] | None:
    """Project a face's landmarks into its crop.

    Returns:
        float64 (5, 2) in px of the crop; None if nothing was detected, or if the face was not
        aligned because its landmarks fit no face.
    """
    if face.landmarks is None:
        return None
    points = face.landmarks.astype(np.float64) @ face.matrix[:, :2].T + face.matrix[:, 2]
    target = template()
    # The zoom is not known here, and does not matter: it moves points by less than the bound.
    error = np.sqrt(((points - target) ** 2).sum(1).mean())
    return points if error <= MAX_RESIDUAL * np.linalg.norm(target[1] - target[0]) else None


def part_masks(landmarks: npt.NDArray[np.floating]) -> Masks:
    """Say where the parts of a face lie, from its five landmarks.

    Every part is the surrounding of a line or two. Lengths are in units of the face: the mean of
    the distance between the eyes and of that from eyes to mouth, so that a turned face keeps its
    size; directions are those of the line between the eyes and of its normal.

    Args:
        landmarks: (5, 2) in px of the crop: left eye, right eye, nose, left and right corner of the
            mouth.

    Returns:
        bool (6, 64, 64) in the order of ``PARTS``; disjoint.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = np.asarray(landmarks, np.float64)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    along = right_eye - left_eye
    across = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-across[1], across[0]])
    down = down if (mouth - eyes) @ down >= 0 else -down
    unit = (float(np.linalg.norm(along)) + float(np.linalg.norm(mouth - eyes)) / 1.155) / 2
    x, y = across * unit, down * unit
    between_left, between_right = (left_eye + left_mouth) / 2, (right_eye + right_mouth) / 2
    lines = [
        # The frown lies between the brows, so they are one part with it.
        [(left_eye - 0.36 * x - 0.38 * y, right_eye + 0.36 * x - 0.38 * y, 0.17)],
        [(eye - 0.16 * x, eye + 0.16 * x, 0.18) for eye in (left_eye, right_eye)],
        [((eyes + nose) / 2, nose, 0.23)],
        # A mouth opens downwards from its corners.
        [
            (left_mouth, right_mouth, 0.26),
            (mouth - 0.2 * x + 0.16 * y, mouth + 0.2 * x + 0.16 * y, 0.28),
        ],
        [
            (between_left - 0.22 * x, between_left - 0.12 * x, 0.24),
            (between_right + 0.12 * x, between_right + 0.22 * x, 0.24),
        ],
        [(mouth - 0.25 * x + 0.66 * y, mouth + 0.25 * x + 0.66 * y, 0.24)],
    ]
    distances = np.stack(
        [np.min([_distance(a, b) / (r * unit) for a, b, r in part], axis=0) for part in lines]
    )
    nearest = distances.argmin(0)
    return np.asarray((distances <= 1) & (nearest == np.arange(len(PARTS))[:, None, None]))


def _distance(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Distance in px of every pixel of the crop from a line between two points."""
    line = end - start
    x, y = _COLUMN - start[0], _COLUMN[:, None] - start[1]
    place = np.clip((x * line[0] + y * line[1]) / max(float(line @ line), 1e-12), 0, 1)
    return np.asarray(np.hypot(x - place * line[0], y - place * line[1]))
