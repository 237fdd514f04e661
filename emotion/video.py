"""``python -m emotion video``: every frame of a video, as a table and as a copy with boxes."""

from __future__ import annotations

import csv
import io
import sys
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from emotion.analyzer import Analyzer
from emotion.errors import ConfigError
from emotion.files import check_target, write_text
from emotion.labels import LABELS
from emotion.overlay import draw_faces, heat_on_photo
from emotion.reliability import MIN_SCORE
from emotion.tracker import OPENING_FRAMES, TrackedFace, Tracker
from emotion.video_file import VideoReader, VideoWriter

DETECTION_SIDE = 640
"""Longer side in px of the copy on which faces are looked for."""

HEADER = (
    *("frame", "time", "face", "x", "y", "width", "height"),
    *LABELS,
    *("sure", "score", "calm", "answer"),
)

_DELAY = OPENING_FRAMES - 1  # frames that a copy is behind, so that a face's first ones show it too

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame; an hour of video has a hundred thousand, so no maps and no crops.

    Attributes:
        frame: counted from 0.
        time_s: seconds from the start of the video.
        face: number of the face's track, from 1.
        box: float32 (4,), x0, y0, x1, y1 in px of the frame.
        score: confidence of the detector, 0..1.
        probabilities: float32 (6,), smoothed over time, see ``emotion.tracker.Tracker``.
        sure: whether the highest of them reaches the threshold.
        calm: smoothed, see ``FaceResult.calm``.
        answer: what people are told, see ``emotion.tracker.TrackedFace``.
    """

    frame: int
    time_s: float
    face: int
    box: npt.NDArray[np.float32]
    score: float | None
    probabilities: npt.NDArray[np.float32]
    sure: bool
    calm: float | None
    answer: str


def check_paths(path: Path, out: Path | None, csv_file: Path | None) -> None:
    """Refuse what ``analyze_video`` could not do, before anything slow begins.

    Raises:
        ImageError: if ``path`` is not a video.
        ConfigError: if ``out`` does not end in ``.mp4``, or a target is the video itself.
        DataError: if the folder of a target does not exist.
    """
    if out is not None and out.suffix.lower() != ".mp4":
        raise ConfigError(f"The copy is written as MP4; {out} must end in .mp4.")
    with VideoReader(path):
        pass
    for target in (out, csv_file):
        if target is not None:
            check_target(target)
        if target is not None and target.exists() and target.samefile(path):
            raise ConfigError(f"{target} is the video itself; choose another name.")


def analyze_video(
    analyzer: Analyzer,
    path: Path,
    out: Path | None,
    csv_file: Path | None,
    *,
    heat: bool,
    min_score: float = MIN_SCORE,
) -> tuple[int, list[Sighting]]:
    """Analyze a video and write what is asked for: completely, or not at all.

    Args:
        analyzer: does the work.
        path: any video that FFmpeg reads, or a GIF; a phone's rotation is
            applied, and pixels that are not square are made so.
        out: ``.mp4`` file for a copy with boxes, with the times and the sound of the video; H.264.
        csv_file: file for a table, a row per face and frame, see ``HEADER``.
        heat: draw heat maps of the strongest class on the copy too.
        min_score: lowest accepted confidence of the detector, 0..1.

    Returns:
        How many frames there are, and every face of every frame.

    Raises:
        ImageError: if the file is not a video, or has no frame.
        DataError: if a file cannot be written.
    """
    tracker = Tracker(analyzer.network.config.abstain_below, patient=True)
    seen: list[_Seen] = []
    count = 0
    with VideoReader(path) as reader, ExitStack() as stack:
        copy = stack.enter_context(VideoWriter(out, reader)) if out is not None else None
        waiting: deque[_Waiting] = deque()
        for image, time_s in tqdm(reader, "frames", reader.count, disable=None, leave=False):
            results, _ = analyzer.analyze_frame(image, max_side=DETECTION_SIDE, min_score=min_score)
            faces = tracker.update(results, time_s)
            seen += [_Seen(count, time_s, tracked) for tracked in faces]
            count += 1
            if copy is not None:
                waiting.append(_Waiting(image, time_s, faces))
                if len(waiting) > _DELAY:
                    waiting.popleft().draw(copy, heat=heat)
        if count < OPENING_FRAMES:
            tracker.settle()
        if remark := reader.remark():
            print(remark, file=sys.stderr)
        if copy is not None:
            for frame in waiting:
                frame.draw(copy, heat=heat)
            copy.finish(reader.end_s)
    sightings = [one.sighting for one in seen if one.track.id]
    if csv_file is not None:
        write_text(csv_file, to_csv(sightings))
    return count, sightings


def to_csv(sightings: list[Sighting]) -> str:
    """Render a table, a row per face and frame, see ``HEADER``; coordinates are px of the frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for one in sightings:
        x0, y0, x1, y1 = (float(value) for value in one.box)
        place = [f"{value:.1f}" for value in (x0, y0, x1 - x0, y1 - y0)]
        scores = [f"{value:.4f}" for value in one.probabilities]
        score = "" if one.score is None else f"{one.score:.4f}"
        calm = "" if one.calm is None else f"{one.calm:.4f}"
        told = [int(one.sure), score, calm, one.answer]
        writer.writerow([one.frame, f"{one.time_s:.3f}", one.face, *place, *scores, *told])
    return text.getvalue()


def summary(sightings: list[Sighting]) -> list[str]:
    """Say in a line per face when it was seen and how it looked, on average."""
    faces: dict[int, list[Sighting]] = {}
    for one in sightings:
        faces.setdefault(one.face, []).append(one)
    lines = []
    for number, seen in sorted(faces.items()):
        mean = np.mean([one.probabilities for one in seen], axis=0)
        scores = ", ".join(f"{LABELS[i]} {mean[i]:.2f}" for i in mean.argsort()[::-1])
        lines.append(f"face {number}, {seen[0].time_s:.1f}-{seen[-1].time_s:.1f} s: {scores}")
    return lines


class _Seen:
    """A sighting whose track may still open; without the maps and the crop."""

    def __init__(self, frame: int, time_s: float, tracked: TrackedFace) -> None:
        face = tracked.face
        assert face.box is not None  # only detected faces are tracked
        self.track = tracked.track
        told = face.sure, face.calm, tracked.answer
        self._sighting = Sighting(frame, time_s, 0, face.box, face.score, face.probabilities, *told)

    @property
    def sighting(self) -> Sighting:
        return replace(self._sighting, face=self.track.id)


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
