"""Why no answer about a face can be sure, whatever the network says."""

from __future__ import annotations

from typing import Literal

from emotion.detect.base import Face
from emotion.reliability import RELIABLE

Reason = Literal["perhaps no face", "covered", "cut off", "turned"]

REASONS: tuple[Reason, ...] = ("perhaps no face", "covered", "cut off", "turned")
"""In the order in which they are looked for."""


def reason_for_doubt(face: Face) -> Reason | None:
    """Say why an answer about a detected face would not be sure, or return None."""
    if face.score < RELIABLE:
        return "perhaps no face"
    return None
