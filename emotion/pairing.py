"""Who is who from one frame to the next, by place, size and pose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from emotion.boxes import area, iou
from emotion.result import FaceResult

Array = npt.NDArray[np.float32]

SAME_FACE = -0.5
"""Lowest likeness of one face in two frames; between them it may move two thirds of its width."""


class Placed(Protocol):
    """Where a face was: its box and its points, see ``box_of`` and ``points_of``."""

    box: Array
    points: Array


Tracked = TypeVar("Tracked", bound=Placed)


def _likeness(track: Placed, result: FaceResult) -> float:
    """Say how well a face fits a track, by place, size and pose.

    Returns:
        Intersection over union of the boxes less the landmarks' mean distance in widths of the
        face: 1 for the same place, below ``SAME_FACE`` for neighbours.
    """
    box = box_of(result)
    width = math.sqrt(max(area(track.box) + area(box), 1e-6) / 2)
    distances = np.linalg.norm(track.points - points_of(result), axis=1)
    return iou(track.box, box) - float(distances.mean()) / width


def pair(tracks: Sequence[Tracked], results: Sequence[FaceResult]) -> list[Tracked | None]:
    """Give each face the track it fits best, each track to one face at most, best fits first."""
    fits = [
        (_likeness(track, result), index, at)
        for index, result in enumerate(results)
        for at, track in enumerate(tracks)
    ]
    found: list[Tracked | None] = [None] * len(results)
    taken: set[int] = set()  # not by id: tracks that have not opened share one
    for fit, index, at in sorted(fits, key=lambda fit: fit[0], reverse=True):
        if fit >= SAME_FACE and found[index] is None and at not in taken:
            found[index] = tracks[at]
            taken.add(at)
    return found


def box_of(face: FaceResult) -> Array:
    """Return the box of a detected face.

    Raises:
        ValueError: if the face was not detected.
    """
    if face.box is None:
        raise ValueError("Only detected faces, which have boxes, can be tracked.")
    return face.box


def points_of(face: FaceResult) -> Array:
    """Return the landmarks of a face, or else the corners of its box, float32 (5 or 2, 2)."""
    return box_of(face).reshape(2, 2) if face.landmarks is None else face.landmarks
