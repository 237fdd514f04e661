"""Who is seen in a video, when, and how they look; and a copy with boxes."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from emotion.overlay import draw_faces, heat_on_photo
from emotion.reliability import MIN_SCORE
from emotion.tracker import OPENING_FRAMES, TrackedFace
from emotion.video.copy import VideoWriter
from emotion.video.file import VideoReader, VideoSource
from emotion.video.people import DRAWN_LATER, Pending, People, Sighting
from emotion.video.stream import follow_frames, make_tracker

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class VideoOptions:
    """What is looked at, and what is drawn.

    Attributes:
        every: seconds from one analysed frame to the next; 0 takes all.
        start: seconds from the start of the video at which to begin.
        end: seconds at which to stop; None goes on to the end.
        heat: draw heat maps of the strongest class on the copy too.
        min_score: lowest accepted confidence of the detector, 0..1.
    """

    every: float = 0.0
    start: float = 0.0
    end: float | None = None
    heat: bool = False
    min_score: float = MIN_SCORE


def analyze_video(
    analyzer: Analyzer,
    video: VideoSource,
    out: Path | None = None,
    sinks: Sequence[Callable[[Sighting], object]] = (),
    options: VideoOptions | None = None,
) -> People:
    """Analyze a video at constant memory, however long it is.

    Ctrl-C ends a camera and a stream; it interrupts everything else.

    Args:
        analyzer: does the work.
        video: any video that FFmpeg reads, or a GIF; a camera, or an address; a phone's rotation is
            applied, and pixels that are not square are made so.
        out: ``.mp4`` file for a copy with boxes, with the times and the sound of the video; H.264.
            It is there when it is complete. Frames that are not analysed are left out, and those
            before them are shown as long.
        sinks: are given every face of every frame in order, some frames later: a track opens in
            its third frame, and those before belong to it.
        options: what is looked at.

    Returns:
        Who was seen, when, and how they looked.

    Raises:
        ImageError: if it is not a video, or has no frame.
        DataError: if a file cannot be written.
    """
    options = options or VideoOptions()
    people = People()
    with ExitStack() as stack:
        reader = stack.enter_context(
            VideoReader(video, every=options.every, start=options.start, end=options.end)
        )
        copy = stack.enter_context(VideoWriter(out, reader)) if out is not None else None
        tracker = make_tracker(analyzer.network.config.abstain_below, options.every)
        pending = Pending([people.add, *sinks], tracker)
        waiting: deque[_Waiting] = deque()
        frames = follow_frames(analyzer, reader, tracker, options.min_score)
        stops: type[BaseException] = KeyboardInterrupt if reader.source.live else _Never
        last = None
        with suppress(stops):
            for image, time_s, faces in tqdm(
                frames, "frames", reader.count or None, disable=None, leave=False
            ):
                held_s = time_s - last if last is not None else options.every or 1 / reader.rate
                last = time_s
                pending.add(people.frames, time_s, held_s, faces)
                people.frames += 1
                if copy is not None:
                    waiting.append(_Waiting(image, time_s - options.start, faces))
                    if len(waiting) > DRAWN_LATER:
                        waiting.popleft().draw(copy, heat=options.heat)
        if people.frames < OPENING_FRAMES:
            tracker.settle()
        if remark := reader.remark():
            print(remark, file=sys.stderr)
        if copy is not None:
            for frame in waiting:
                frame.draw(copy, heat=options.heat)
            copy.finish(reader.end_s - options.start)
        pending.flush()
    return people


class _Never(BaseException):
    """Is never raised."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame of the copy that waits for its faces' tracks to open."""

    image: Pixels
    time_s: float
    faces: list[TrackedFace]

    def draw(self, copy: VideoWriter, *, heat: bool) -> None:
        faces, image = [tracked for tracked in self.faces if tracked.id], self.image
        for tracked in faces if heat else ():
            image = heat_on_photo(image, tracked.face, tracked.face.index)
        numbers, answers = [t.id for t in faces], [t.answer for t in faces]
        drawn = draw_faces(image, [t.face for t in faces], numbers, answers)
        copy.write(drawn, self.time_s)
