"""From a picture to the crops that are classified: faces found, made upright, aligned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emotion.align import Matrix, align_face, box_crop, plain_crop
from emotion.detect import Detector, Face
from emotion.detect.plausible import plausible_faces
from emotion.doubt import reason_for_doubt
from emotion.errors import AlignmentError
from emotion.followed import Followed, View
from emotion.reliability import MIN_SCORE
from emotion.result import FaceResult
from emotion.upright import turned_around

Pixels = npt.NDArray[np.uint8]


class Cut(NamedTuple):
    """A face as the network sees it.

    Attributes:
        face: upright; None for a crop that was not detected in a picture.
        crop: uint8 (64, 64).
        matrix: float64 (2, 3), from px of the picture to px of the crop.
        reason: why no answer about it is sure, see ``FaceResult.reason``; None if nothing says so.
        view: what the network is to see of it.
    """

    face: Face | None
    crop: Pixels
    matrix: Matrix
    reason: str | None = None
    view: View = View.BOTH

    def answered(
        self,
        probabilities: npt.NDArray[np.float32],
        cams: npt.NDArray[np.float32],
        *,
        sure: bool,
        calm: float | None,
    ) -> FaceResult:
        """Return the result of this face, see ``FaceResult``."""
        return FaceResult(
            box=self.face.box if self.face else None,
            landmarks=self.face.landmarks if self.face else None,
            score=self.face.score if self.face else None,
            probabilities=probabilities,
            cams=cams,
            crop=self.crop,
            matrix=self.matrix,
            sure=sure and self.reason is None,
            calm=calm,
            reason=self.reason,
        )


class Found(NamedTuple):
    """The faces of a picture that are analysed, how many there are, and where was looked."""

    cuts: list[Cut]
    total: int
    whole: bool = True


class Cutter:
    """Finds the faces of pictures and cuts out their crops; safe to share by threads.

    Args:
        detector: finds them.
        zoom: scale of the crop, see ``emotion.align.template``.
    """

    def __init__(self, detector: Detector, zoom: float) -> None:
        self._detector = detector
        self._zoom = zoom

    def cut_out(
        self,
        image: Pixels,
        max_faces: int | None,
        min_score: float,
        max_side: int | None,
        known: Followed | None,
    ) -> Found:
        """Cut out the faces of a picture, see ``Analyzer.analyze``."""
        again = self._find_again(image, known, min_score, max_side)
        if again is not None:
            cuts = [self._cut(image, face, known, stands=True) for face in again]
            return Found(cuts, len(again), whole=False)
        faces = self.find(image, min_score=min_score, max_side=max_side)
        return Found([self._cut(image, face, known) for face in faces[:max_faces]], len(faces))

    def find(
        self,
        image: Pixels,
        *,
        min_score: float = MIN_SCORE,
        max_side: int | None = None,
    ) -> list[Face]:
        """Find the faces of a picture, see ``Detector.detect`` and ``plausible_faces``.

        Returns:
            Those that are ``RELIABLE``, the largest first; then what may be none, likewise.
        """
        found = self._detector.detect(image, min_score=min_score, max_side=max_side)
        return plausible_faces(image, found)

    def crop(self, image: Pixels, face: Face) -> tuple[Pixels, Matrix]:
        """Cut the crop of a detected face: aligned, or its box where the landmarks fit no face."""
        try:
            return align_face(image, face.landmarks, self._zoom)
        except AlignmentError:
            return box_crop(image, face.box)

    def _find_again(
        self,
        image: Pixels,
        known: Followed | None,
        min_score: float,
        max_side: int | None,
    ) -> list[Face] | None:
        """Find all of the known faces around their places, or return None."""
        if known is None or not known.around:
            return None
        before = known.faces
        found = self._detector.detect_around(image, before, min_score=min_score, max_side=max_side)
        faces = plausible_faces(image, found or [])
        return faces if len(faces) == len(before) else None

    def _cut(
        self, image: Pixels, face: Face, known: Followed | None, *, stands: bool = False
    ) -> Cut:
        around = None if stands else turned_around(image, face, self._detector)
        upright = around or face
        crop, matrix = self.crop(image, upright)
        size, turned = (image.shape[1], image.shape[0]), around is not None
        reason = reason_for_doubt(upright, matrix, crop, size, turned=turned)
        view = known.view(upright) if known else View.BOTH
        return Cut(upright, crop, matrix, reason, view)


def whole_picture(image: Pixels) -> Found:
    """Take a whole picture for one face."""
    return Found([Cut(None, *plain_crop(image))], 1)
