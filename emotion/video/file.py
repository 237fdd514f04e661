"""Reading videos: upright frames with square pixels and their own times, and sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from emotion.errors import ImageError
from emotion.video.source import VideoSource as VideoSource
from emotion.video.source import check_times, find

Pixels = npt.NDArray[np.uint8]

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
        formats: Sequence[str] = (),
    ) -> None:
        """Open a video.

        Args:
            video: see ``video_source.find``.
            every: seconds from one frame to the next; 0 takes all.
            start: time of the first frame that is taken.
            end: time from which on none is.
            formats: FFmpeg's names of what it may be, for files of strangers: nothing else is
                parsed, and none that names other files. By default whatever FFmpeg knows.

        Raises:
            ImageError: if it is not a video, its codec is not known here, or it cannot be reached.
            ConfigError: if the times cannot be.
        """
        check_times(every, start, end)
        source = self.source = find(video)
        self._every, self._start, self._end = every, start, end
        bounds = {"format_whitelist": ",".join(formats), "protocol_whitelist": "file"}
        try:
            self._container = av.open(
                source.address, **source.options, options=bounds if formats else None
            )
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
    def codec(self) -> str:
        """Name of the pictures' codec, as FFmpeg calls it."""
        return str(self._video.codec_context.codec.canonical_name)

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
        length, shown = self.length(), self.source.shown
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
        length = self.length()
        if length is None:
            return 0 if self._start or self._end or self._every else int(self._video.frames)
        until = length if self._end is None else min(length, self._end)
        return round(max(0.0, until - self._start) / (self._every or 1 / self.rate))

    def length(self) -> float | None:
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
        return (
            f"{name} is coded in {self.codec}, of which nothing could be decoded; convert it: "
            f"ffmpeg -i {name} -c:v libx264 copy.mp4"
        )
