"""Reading and writing videos: upright frames with square pixels and their own times, and sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from emotion.errors import DataError, ImageError
from emotion.files import regular
from emotion.video_source import VideoSource as VideoSource
from emotion.video_source import check_times, find

Pixels = npt.NDArray[np.uint8]

_TICK = Fraction(1, 60_000)  # of the copy, in seconds; MPEG-4 Part 2 knows none below 1/65535
_COPIED_SOUND = {"aac", "ac3", "alac", "eac3", "mp3"}  # what players expect in an MP4; others: AAC
_WORTH_A_JUMP = 5.0  # seconds that need not be decoded
_JUMPS = ("mov", "matroska")  # have an index; others land between two frames that belong together
_CUT_OFF = 0.95  # the share of its length up to which a video may end early without a remark


class VideoReader:
    """Frames of a video as RGB, upright, with square pixels, and their times in seconds.

    The first frame of a file has time 0, and times never run backwards.
    """

    def __init__(
        self,
        video: VideoSource,
        *,
        every: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
    ) -> None:
        """Open a video.

        Args:
            video: see ``video_source.find``.
            every: seconds from one frame to the next; 0 takes all.
            start: time of the first frame that is taken.
            end: time from which on none is.

        Raises:
            ImageError: if it is not a video, its codec is not known here, or it cannot be reached.
            ConfigError: if the times cannot be.
        """
        check_times(every, start, end)
        source = self.source = find(video)
        self._every, self._start, self._end = every, start, end
        try:
            self._container = av.open(source.address, **source.options)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise ImageError(source.unreadable(error)) from None
        self._video: Any = self._container.streams.best("video")
        self._audio = self._container.streams.best("audio")
        if self._video is None:
            self._container.close()
            raise ImageError(source.unreadable())
        if self._video.codec_context is None:
            self._container.close()
            raise ImageError(
                f"The codec of {source.name} is not known here; convert it: "
                f"ffmpeg -i {source.name} -c:v libx264 copy.mp4"
            )
        self._video.codec_context.thread_type = "AUTO"
        rate = float(self._video.average_rate or 0)
        self.rate = rate if rate > 0 else 25.0
        self.count = self._expected()
        """About how many frames there will be; 0 if that is not known."""
        self.on_sound: Callable[[Any], None] | None = None
        """Is given the packets of sound between the frames, if set."""
        self.start_s = 0.0
        """When the start that was asked for is, by the clock of the file."""
        self.end_s = 0.0
        """When the newest frame ends, by the clock of ``__iter__``."""
        self._longest = 0.0
        self._broken = 0
        self._cut = False

    @property
    def sound(self) -> Any | None:
        """The stream of sound, or None."""
        known = self._audio is not None and self._audio.codec_context is not None
        return self._audio if known else None

    def is_before_start(self, packet: Any) -> bool:
        """Tell whether sound belongs to what was left out before the first frame."""
        if not self._start or packet.pts is None:
            return False
        return float(packet.pts * packet.time_base) < self.start_s

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[tuple[Pixels, float]]:
        due, taken = self._start, 0
        for frame, time_s in self._timed():
            if self._end is not None and time_s >= self._end:
                self._cut = True
                break
            if time_s < due - 1e-6:
                continue
            if self._every:
                due += self._every * (1 + (time_s - due) // self._every)
            taken += 1
            yield self._upright(frame), time_s
        if not taken and self.end_s:
            until = "" if self._cut else f", it ends after {self.end_s:.1f} s"
            raise ImageError(
                f"{self.source.name} has no frame of the time that was asked for{until}."
            )
        if not taken:
            raise ImageError(self._no_frame())

    def _timed(self) -> Iterator[tuple[Any, float]]:
        """Yield every frame with its time, from shortly before the start on."""
        last, origin = -1.0, self._seek()
        for frame in self._frames():
            stamp = frame.time
            if last < 0:
                first = stamp or 0.0
                # What was jumped to knows its time by the clock of the file alone.
                time_s = 0.0 if origin is None else max(first - origin, 0.0)
                origin = first if origin is None else origin
                self.start_s = origin + self._start
            else:
                stamp = last if stamp is None else stamp - origin
                # Some containers hold no times; then the rate says when a frame was taken.
                time_s = max(stamp, 0.0) if stamp > last else last + 1 / self.rate
            gap = time_s - last if last >= 0 else 1 / self.rate
            self._longest = max(self._longest, gap)
            held = float((frame.duration or 0) * (frame.time_base or 0))
            self.end_s = time_s + max(gap, held)
            last = time_s
            yield frame, time_s

    def _seek(self) -> float | None:
        """Jump to shortly before the start if that is worth it; return the file's time 0."""
        stream = self._video
        begins = stream.start_time
        jumps = self._container.format.name.startswith(_JUMPS)
        if self._start < _WORTH_A_JUMP or not jumps or begins is None:
            return None
        target = begins + int(self._start / stream.time_base)
        try:
            self._container.seek(target, stream=stream)
        except av.FFmpegError:
            return None  # it cannot jump, and is read from its beginning
        return float(begins * stream.time_base)

    def remark(self) -> str | None:
        """Say after the last frame whether something seems to be missing."""
        length, shown = self._length(), self.source.shown
        if self._broken:
            return f"{shown}: {self._broken} parts are damaged and were left out."
        if self._cut:
            return None
        # Of a picture that stands still some files hold no further frames.
        short = length is not None and self.end_s < _CUT_OFF * length
        if short and length is not None and length - self.end_s > 2 * self._longest:
            return (
                f"{shown}: the frames end after {self.end_s:.1f} of {length:.1f} seconds; the "
                "file may be cut off."
            )
        return None

    def _frames(self) -> Iterator[Any]:
        wanted = [self._video, *([self.sound] if self.on_sound and self.sound else [])]
        packets = self._container.demux(wanted)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # where the file is cut off
            if packet is None:
                return
            if packet.stream.index != self._video.index:
                if self.on_sound is not None:
                    self.on_sound(packet)
                continue
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self._broken += 1

    def _upright(self, frame: Any) -> Pixels:
        width, height = frame.width, frame.height
        aspect = float(self._video.sample_aspect_ratio or 1)
        if not 0.1 < aspect < 10:
            aspect = 1.0
        # Stretched, never shrunk: no detail is lost.
        width, height = round(width * max(aspect, 1)), round(height * max(1 / aspect, 1))
        picture = frame.to_ndarray(
            format="rgb24", width=width, height=height, interpolation="BICUBIC"
        )
        turned = np.rot90(picture, round(frame.rotation / 90))
        return np.ascontiguousarray(turned, np.uint8)

    def _expected(self) -> int:
        length = self._length()
        if length is None:
            return 0 if self._start or self._end or self._every else int(self._video.frames)
        until = length if self._end is None else min(length, self._end)
        return round(max(0.0, until - self._start) / (self._every or 1 / self.rate))

    def _length(self) -> float | None:
        """Return how many seconds of pictures the file says it has, if it does."""
        stream = self._video
        if self._container.format.name == "avi" and stream.frames:
            # Its length is guessed from the size of the file; its header counts frames.
            return float(stream.frames / self.rate)
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        told = stream.metadata.get("DURATION", "")  # Matroska
        parts = told.split(":")
        try:
            if len(parts) == 3:
                return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2])
        except ValueError:
            pass
        alone = len(self._container.streams) == 1
        return self._container.duration / 1e6 if alone and self._container.duration else None

    def _no_frame(self) -> str:
        name = self.source.name
        if not self._broken:
            return self.source.unreadable()
        codec = self._video.codec_context.codec.canonical_name
        return (
            f"{name} is coded in {codec}, of which nothing could be decoded; convert it: "
            f"ffmpeg -i {name} -c:v libx264 copy.mp4"
        )


class VideoWriter:
    """An MP4 file that is there when it is finished, and not before."""

    def __init__(self, path: Path, reader: VideoReader) -> None:
        """Prepare a copy of what ``reader`` reads, with its sound; nothing is written yet."""
        self.path = path
        self._reader = reader
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.mp4")
        self._container: Any = None
        self._stream: Any = None
        self._sound: Any = None
        self._encodes_sound = False
        self._written = 0
        self._waiting: list[Any] = []  # sound that came before the first frame
        if reader.sound is not None:
            reader.on_sound = self._take_sound

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._reader.on_sound = None
        if self._container is not None:
            self._container.close()
        self._partial.unlink(missing_ok=True)

    def write(self, image: Pixels, time_s: float) -> None:
        """Add a frame, shown from then on.

        Raises:
            DataError: if the file cannot be written.
        """
        with _told(self.path):
            if self._container is None:
                self._open(*image.shape[:2])
            height, width = self._stream.height, self._stream.width
            if image.shape[:2] != (height, width):
                # The codec halves the colour planes, so its sides are even.
                if abs(image.shape[0] - height) < 2 and abs(image.shape[1] - width) < 2:
                    image = image[:height, :width]
                else:
                    image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            frame.pts, frame.time_base = round(time_s / _TICK), _TICK
            self._mux(self._stream.encode(frame))
            self._written += 1

    def finish(self, end_s: float) -> None:
        """Flush the file and give it its name.

        Args:
            end_s: when the last frame ends.

        Raises:
            DataError: if it cannot be written.
        """
        if self._container is None:
            return
        with _told(self.path):
            packets = self._stream.encode(None)
            if packets:
                last = max(packets, key=lambda packet: packet.pts)
                last.duration = max(1, round(end_s / last.time_base) - last.pts)
            self._mux(packets)
            if self._encodes_sound:
                self._container.mux(self._sound.encode(None))
            self._container.close()
            self._container = None
            with self._partial.open("rb") as file:
                os.fsync(file.fileno())
            # On a full disk FFmpeg may end without a word; a copy with a gap is none.
            if (found := _count_frames(self._partial)) != self._written:
                raise DataError(
                    f"{self.path} cannot be written ({found} of {self._written} frames arrived); "
                    "free some space or choose another place."
                )
            place = regular(self.path)
            if place is None:
                raise DataError(f"{self.path} is no ordinary file; choose another name.")
            self._partial.replace(place)

    def _open(self, height: int, width: int) -> None:
        self._container = av.open(str(self._partial), "w", format="mp4")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = Fraction(self._reader.rate).limit_denominator(1001)
        self._stream = stream = self._container.add_stream(codec, rate=rate)
        stream.width, stream.height = max(2, width - width % 2), max(2, height - height % 2)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = _TICK
        # Quality near the source's. Without B-frames packets leave in the order of the frames.
        h264 = {"crf": "20", "preset": "veryfast", "bf": "0"}
        stream.options = h264 if codec == "libx264" else {"qmin": "2", "qmax": "6"}
        source = self._reader.sound
        if source is not None and source.codec_context.codec.canonical_name in _COPIED_SOUND:
            self._sound = self._container.add_stream_from_template(source)
        elif source is not None:
            self._sound = self._container.add_stream("aac", rate=source.codec_context.rate)
            self._encodes_sound = True
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            self._take_sound(packet)

    def _take_sound(self, packet: Any) -> None:
        if self._container is None:
            self._waiting.append(packet)
            return
        if self._reader.is_before_start(packet):
            return
        if self._encodes_sound:
            try:
                frames = packet.decode()
            except av.FFmpegError:
                return  # a damaged bit of sound is silence
            for frame in frames:
                if frame.pts is not None and frame.time_base:
                    frame.pts -= round(self._reader.start_s / frame.time_base)
                self._container.mux(self._sound.encode(frame))
        elif packet.dts is not None:
            shift = round(self._reader.start_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._sound
            self._container.mux(packet)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._container.mux(packet)


def _count_frames(path: Path) -> int:
    """Count the frames of a file by what its index says and the file holds, without decoding."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return sum(packet.size > 0 for packet in container.demux(video))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what FFmpeg or the disk objects to into a sentence."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"{path} cannot be written ({reason}); free some space or choose another place."
        ) from None
