"""What is known of the faces of a video before its next frame is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Flag, auto
from typing import NamedTuple

from emotion.detect.around import same_face
from emotion.detect.base import Face


class View(Flag):
    """What the network sees of a crop, where ``NetworkConfig.mirror`` asks for both."""

    STRAIGHT = auto()
    MIRRORED = auto()
    BOTH = STRAIGHT | MIRRORED


class Followed(NamedTuple):
    """The faces of the newest frame.

    Attributes:
        faces: where they were.
        views: what the network is to see of each of them in the next frame.
        around: whether it is enough to search that frame around their places.
    """

    faces: Sequence[Face]
    views: Sequence[View]
    around: bool = True

    def view(self, face: Face) -> View:
        """Return what the network is to see of a face of the next frame: of a new one both."""
        before = same_face(face, self.faces)
        known = (view for one, view in zip(self.faces, self.views, strict=True) if one is before)
        return next(known, View.BOTH)
