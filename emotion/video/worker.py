"""Videos of strangers in a process of its own: what the page starts for one clip, and may kill.

It reads one file, hands its frames over one by one, and writes a copy with what was found drawn on
them. The network is elsewhere, so this process sees pixels and numbers and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from emotion import child
from emotion.errors import DataError, EmotionError, ImageError
from emotion.overlay import draw_faces
from emotion.result import FaceResult
from emotion.video.copy import VideoWriter
from emotion.video.file import VideoReader

MOST_SECONDS = 120.0
"""Longest clip."""

MOST_PIXELS = 4096 * 2304
"""Largest picture of a clip."""

LARGEST_SIDE = 1920
"""Longer side in px in which frames are analysed and copied; larger ones are reduced to it."""

FORMATS = ("mov", "matroska", "gif")
"""FFmpeg's parsers that may see a clip: MP4 and MOV, WebM, GIF. None of them opens other files."""

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "gif")
"""Its decoders of pictures that may: what phones, cameras and browsers write."""

MOST_FRAMES_PER_SECOND = 31.0
"""Rate above which a frame is taken every ``SLOWER``."""

SLOWER = 1 / 30

MEMORY = 3 << 29
"""Bytes beyond what the process has when it is idle: 4K with its frames of reference fits."""

CPU_SECONDS = 900
"""Processor time for one clip."""

COPY_BYTES = 256 << 20
"""Largest copy."""

MESSAGE = struct.Struct(">BIId")
"""Kind; height and width of the RGB bytes that follow, or 0 and the length of a text; seconds."""

CLIP, FRAME, END, COPY, SENTENCE = range(5)
"""JSON about the clip; a frame; the last frame was; the copy is there; a sentence, and no more."""

_TOO_LONG = f"The video is longer than {MOST_SECONDS / 60:.0f} minutes; cut it and try again."

Pixels = npt.NDArray[np.uint8]


def main() -> None:
    """Take the file of the first argument apart; write a copy to that of the second."""
    source, copy = Path(sys.argv[1]), Path(sys.argv[2])
    answers, replies = child.answers(), sys.stdin.buffer
    with suppress(AttributeError, OSError):
        os.nice(10)  # camera frames come first
    _limit()
    try:
        _work(source, copy, answers, replies)
    except BrokenPipeError:
        pass  # nobody wants it any more
    except EmotionError as error:
        _say(answers, SENTENCE, re.sub(rf"^{source.name}\b", "The file", str(error)))
    except MemoryError:
        _say(answers, SENTENCE, "The video takes too much memory to decode; send a smaller one.")
    except Exception as error:
        name = type(error).__name__
        _say(answers, SENTENCE, f"The video cannot be read ({name}); save it anew as MP4.")


def _work(source: Path, copy: Path, answers: BinaryIO, replies: BinaryIO) -> None:
    with VideoReader(source, formats=FORMATS) as first:
        every = SLOWER if first.rate > MOST_FRAMES_PER_SECOND else 0.0
        length = first.length()
        if first.codec not in CODECS:
            raise ImageError(f"Videos in {first.codec} are not read here; save it as MP4 (H.264).")
        if length is not None and length > MOST_SECONDS + 1:
            raise ImageError(_TOO_LONG)
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source, every=every, formats=FORMATS))
        writer = _Copy(stack.enter_context(VideoWriter(copy, reader)))
        for index, (image, time_s) in enumerate(reader):
            height, width = image.shape[:2]
            if height * width > MOST_PIXELS:
                raise ImageError(
                    f"The video's pictures ({width}x{height}) are too large; reduce it."
                )
            if time_s > MOST_SECONDS + 1:
                raise ImageError(_TOO_LONG)
            if not index:
                about = {"length": length, "every": every, "width": width, "height": height}
                _say(answers, CLIP, json.dumps(about))
            writer.waiting[index] = frame = _reduced(image), time_s
            _hand_over(answers, *frame)
            if index:  # the network is one frame behind, so that both work at a time
                writer.draw(_reply(replies))
        writer.draw(_reply(replies))
        _say(answers, END, json.dumps({"remark": reader.remark()}))
        writer.draw(_reply(replies))
        if writer.finish(reader.end_s):
            _say(answers, COPY, "")


class _Copy:
    """The copy, and the frames that wait for what is drawn on them."""

    def __init__(self, writer: VideoWriter) -> None:
        self.waiting: OrderedDict[int, tuple[Pixels, float]] = OrderedDict()
        self._writer = writer
        self._works = True

    def draw(self, reply: Iterable[tuple[int, list[dict[str, Any]]]]) -> None:
        """Draw the faces of frames and add them, in order."""
        for index, faces in reply:
            image, time_s = self.waiting.pop(index)
            numbers, answers = [face["id"] for face in faces], [face["answer"] for face in faces]
            drawn = draw_faces(image, [_face(face) for face in faces], numbers, answers)
            if self._works:
                with self._trying():
                    self._writer.write(drawn, time_s)

    def finish(self, end_s: float) -> bool:
        """Give the copy its name; say whether there is one."""
        if self._works:
            with self._trying():
                self._writer.finish(end_s)
        return self._works

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """Let a copy that cannot be written cost the copy and not the numbers."""
        try:
            yield
        except DataError:
            self._works = False


def _face(said: dict[str, Any]) -> FaceResult:
    """Make what ``draw_faces`` draws of what the network said; maps and crop are not drawn."""
    return FaceResult(
        np.array(said["box"], np.float32),
        None,
        None,
        np.array(said["probabilities"], np.float32),
        np.zeros((6, 8, 8), np.float32),
        np.zeros((64, 64), np.uint8),
        np.eye(2, 3),
        sure=said["sure"],
        calm=said["calm"],
        reason=said["reason"],
    )


def _reduced(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    scale = LARGEST_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _hand_over(answers: BinaryIO, image: Pixels, time_s: float) -> None:
    answers.write(MESSAGE.pack(FRAME, *image.shape[:2], time_s))
    answers.write(image.data)
    answers.flush()


def _say(answers: BinaryIO, kind: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    with suppress(BrokenPipeError):
        answers.write(MESSAGE.pack(kind, 0, len(data), 0.0) + data)
        answers.flush()


def _reply(replies: BinaryIO) -> Any:
    line = replies.readline()
    if not line:
        raise BrokenPipeError
    return json.loads(line)


def _limit() -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system has these limits
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (COPY_BYTES, COPY_BYTES))
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))


if __name__ == "__main__":
    main()
