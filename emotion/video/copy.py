"""Writing a copy of a video, with its times and its sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np

from emotion.errors import DataError
from emotion.files import cannot_write, regular
from emotion.video.file import Pixels, VideoReader

_TICK = Fraction(1, 60_000)  # in seconds; MPEG-4 Part 2 knows none below 1/65535
_COPIED_SOUND = {"aac", "ac3", "alac", "eac3", "mp3"}  # what players expect in an MP4; others: AAC


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
        raise DataError(cannot_write(path, error)) from None
