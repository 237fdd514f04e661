"""``python -m emotion video``: every frame of a video, as a table and as a copy with boxes."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from emotion.analyzer import Analyzer
from emotion.errors import ConfigError, DataError, ImageError
from emotion.files import write_text
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.live import TrackedFace, Tracker
from emotion.overlay import draw_faces, heat_on_photo

DETECTION_SIDE = 640
"""Longer side in px of the copy on which faces are looked for."""

HEADER = ("frame", "time", "face", "x", "y", "width", "height", *LABELS, "sure", "calm", "answer")

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame; an hour of video has a hundred thousand, so no maps and no crops.

    Attributes:
        frame: counted from 0.
        time_s: seconds from the start of the video.
        face: number of the face's track, from 1.
        box: float32 (4,), x0, y0, x1, y1 in px of the frame.
        probabilities: float32 (6,), smoothed over time, see ``emotion.live.Tracker``.
        sure: whether the highest of them reaches the threshold.
        calm: smoothed, see ``FaceResult.calm``.
        answer: what people are told, see ``emotion.live.TrackedFace``.
    """

    frame: int
    time_s: float
    face: int
    box: npt.NDArray[np.float32]
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
    with _Reader(path):
        pass
    for target in (out, csv_file):
        if target is not None and not target.parent.is_dir():
            raise DataError(f"The folder {target.parent} does not exist; create it first.")
        if target is not None and target.exists() and target.samefile(path):
            raise ConfigError(f"{target} is the video itself; choose another name.")


def analyze_video(
    analyzer: Analyzer, path: Path, out: Path | None, csv_file: Path | None, *, heat: bool
) -> tuple[int, list[Sighting]]:
    """Analyze a video and write what is asked for: completely, or not at all.

    Args:
        analyzer: does the work.
        path: any video that FFmpeg reads, or a GIF; a phone's rotation is applied.
        out: ``.mp4`` file for a copy with boxes, without sound; MPEG-4 Part 2.
        csv_file: file for a table, a row per face and frame, see ``HEADER``.
        heat: draw heat maps of the strongest class on the copy too.

    Returns:
        How many frames there are, and every face of every frame.

    Raises:
        ImageError: if the file is not a video, or has no frame.
        DataError: if a file cannot be written.
    """
    tracker = Tracker(analyzer.network.config.abstain_below)
    sightings: list[Sighting] = []
    count = 0
    with _Reader(path) as reader, _Writer(out, reader.rate) as writer:
        for image, time_s in tqdm(reader, "frames", reader.count, disable=None, leave=False):
            results, _ = analyzer.analyze_frame(image, max_side=DETECTION_SIDE)
            faces = tracker.update(results, time_s)
            sightings += [_sighting(count, time_s, tracked) for tracked in faces]
            count += 1
            if out is not None:
                writer.write(_draw(image, faces, heat=heat))
        if reader.count and count < 0.95 * reader.count:
            print(
                f"{path}: only {count} of {reader.count} frames could be read; the file may "
                "be cut off.",
                file=sys.stderr,
            )
        writer.finish()
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
        calm = "" if one.calm is None else f"{one.calm:.4f}"
        told = [int(one.sure), calm, one.answer]
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


def _sighting(frame: int, time_s: float, tracked: TrackedFace) -> Sighting:
    face = tracked.face
    assert face.box is not None  # only detected faces are tracked
    told = face.sure, face.calm, tracked.answer
    return Sighting(frame, time_s, tracked.id, face.box, face.probabilities, *told)


def _draw(image: Pixels, faces: list[TrackedFace], *, heat: bool) -> Pixels:
    for tracked in faces if heat else ():
        image = heat_on_photo(image, tracked.face, tracked.face.index)
    numbers, answers = [t.id for t in faces], [t.answer for t in faces]
    return draw_faces(image, [t.face for t in faces], numbers, answers)


class _Reader:
    """Frames of a video as RGB, upright, with their times in seconds, which never run backwards."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ImageError(f"{path} is not a file; give the path of a video.")
        self.path = path
        with _quiet():
            self._capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise ImageError(_unreadable(path))
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 1 <= rate <= 240 else 25.0
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[tuple[Pixels, float]]:
        time_s = -1.0
        while True:
            read, frame = self._capture.read()
            if not read:
                break
            stamp = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            # Some containers hold no times; then the rate says when a frame was taken.
            time_s = stamp if stamp > time_s else time_s + 1 / self.rate
            yield decode_image(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)), time_s
        if time_s < 0:
            raise ImageError(_unreadable(self.path))


class _Writer:
    """An MP4 file that is there when it is finished, and not before; without a path, nothing."""

    def __init__(self, path: Path | None, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None
        if path is not None:
            self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.mp4")

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
            self._partial.unlink(missing_ok=True)

    def write(self, image: Pixels) -> None:
        # The codec halves the colour planes, so both sides must be even.
        height, width = (side - side % 2 for side in image.shape[:2])
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            size = (width, height)
            self._writer = cv2.VideoWriter(
                str(self._partial), cv2.CAP_FFMPEG, code, self._rate, size
            )
            if not self._writer.isOpened():
                raise DataError(
                    f"{self._path} cannot be written; free some space or choose another place."
                )
        self._writer.write(cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2BGR))

    def finish(self) -> None:
        """Flush the file and give it its name."""
        if self._writer is None or self._path is None:
            return
        self._writer.release()
        try:
            with self._partial.open("rb") as file:
                os.fsync(file.fileno())
            self._partial.replace(self._path)
        except OSError as error:
            raise DataError(
                f"{self._path} cannot be written ({error.strerror}); choose another place."
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV and FFmpeg from explaining on stderr, in words that are of no use there."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _unreadable(path: Path) -> str:
    return (
        f"{path.name} is not a video that can be read, or has no frame; use MP4, MOV, WebM, AVI or "
        "GIF."
    )
