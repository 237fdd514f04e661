"""A video frame by frame, with who is who: at constant memory, however long it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from emotion.followed import Followed
from emotion.reliability import RELIABLE
from emotion.result import Faces
from emotion.tracker import TrackedFace, Tracker
from emotion.video.file import VideoReader, VideoSource

DETECTION_SIDE = 640
"""Longer side in px of the copy on which faces are looked for."""

SPARSE = 0.5
"""Seconds between frames from which on each counts by itself: no face shows in three of them."""


class Analyzes(Protocol):
    """What looks at a frame: an ``Analyzer``, or what stands before one."""

    def analyze(
        self,
        image: npt.NDArray[np.uint8],
        *,
        max_side: int,
        exact: bool,
        min_score: float,
        known: Followed | None,
    ) -> Faces:
        """Analyze one frame, see ``Analyzer.analyze``."""


class StreamFrame(NamedTuple):
    """One frame of a video and its faces.

    Attributes:
        image: uint8 RGB (H, W, 3), upright, with square pixels.
        time_s: seconds from the start of the video.
        faces: with their tracks, smoothed; the id is 0 until a track opens.
    """

    image: npt.NDArray[np.uint8]
    time_s: float
    faces: list[TrackedFace]


def follow(
    analyzer: Analyzes,
    video: VideoSource,
    abstain_below: float,
    *,
    every: float,
    start: float,
    end: float | None,
    min_score: float,
) -> Iterator[StreamFrame]:
    """Open a video and follow its faces, see ``Analyzer.stream``."""
    reader = VideoReader(video, every=every, start=start, end=end)

    def frames() -> Iterator[StreamFrame]:
        with reader:
            tracker = make_tracker(abstain_below, every)
            yield from follow_frames(analyzer, reader, tracker, min_score)

    return frames()


def make_tracker(abstain_below: float, every: float) -> Tracker:
    """Return what follows the faces of a video of which a frame is taken every so many seconds."""
    return Tracker(abstain_below, patient=every < SPARSE, every=every)


def follow_frames(
    analyzer: Analyzes,
    frames: Iterable[tuple[npt.NDArray[np.uint8], float]],
    tracker: Tracker,
    min_score: float,
) -> Iterator[StreamFrame]:
    """Analyze frames, uint8 RGB (H, W, 3), with their times in seconds, as a video has them."""
    for image, time_s in frames:
        known = tracker.known(time_s)
        results = analyzer.analyze(
            image,
            max_side=DETECTION_SIDE,
            exact=False,
            min_score=min_score,
            known=known and known._replace(around=False),  # nobody waits, so all is searched
        )
        if not tracker.patient:  # nothing but its score tells a face from a light then
            results = Faces(
                face for face in results if face.score is None or face.score >= RELIABLE
            )
        yield StreamFrame(image, time_s, tracker.update(results, time_s))
