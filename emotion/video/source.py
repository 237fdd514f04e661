"""Where a video comes from: a file, standard input, a camera, or the address of a stream."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion.errors import ConfigError, ImageError

VideoSource = str | os.PathLike[str] | int
"""A path, ``-`` for standard input, the number of a camera, or an address."""

_CAMERA = re.compile(r"\d{1,3}|/dev/video\d{1,3}")
_ADDRESS = re.compile(r"(https?|rtsps?|rtmps?|rtp|udp|tcp|srt|mms)://.+", re.IGNORECASE)
_WAIT = 15.0  # seconds for a stream to answer


@dataclass(frozen=True)
class Found:
    """What FFmpeg is to open.

    Attributes:
        address: what it is given.
        name: what sentences call it, short.
        shown: the same as it was asked for.
        live: whether it may go on for ever, and cannot jump.
        options: for ``av.open``.
    """

    address: Any
    name: str
    shown: str
    live: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def unreadable(self, error: Exception | None = None) -> str:
        """Say that it is no video, or cannot be reached."""
        if self.live and error is not None:
            reason = getattr(error, "strerror", None) or type(error).__name__
            return f"{self.name} cannot be opened ({reason}); check its address, and who uses it."
        return (
            f"{self.name} is not a video that can be read, or has no frame; use MP4, MOV, WebM, "
            "AVI or GIF."
        )


def find(video: VideoSource) -> Found:
    """Find out what a video is read from.

    Raises:
        ImageError: if it is no file, or a camera on a system whose cameras are not known here.
    """
    word = str(video)
    if word == "-":
        return Found(sys.stdin.buffer, "Standard input", "-")
    if _ADDRESS.fullmatch(word):
        return Found(word, word[:100], word, live=True, options={"timeout": _WAIT})
    if _CAMERA.fullmatch(word) and not os.path.isfile(word):
        device = f"/dev/video{word}" if word.isdigit() else word
        if not os.path.exists(device):
            raise ImageError(
                f"There is no camera {device}; plug it in, or give the path of a video."
            )
        return Found(device, f"The camera {device}", word, live=True, options={"format": "v4l2"})
    path = Path(word)
    if not os.path.isfile(path):  # unlike Path's, it says no to a name that is too long
        raise ImageError(f"{path} is not a file; give the path of a video.")
    return Found(str(path.absolute()), path.name, word)


def check_times(every: float, start: float, end: float | None) -> None:
    """Refuse times that no frame can have.

    Raises:
        ConfigError: if one is negative, or the end is not after the start.
    """
    if not 0 <= every < 1e6 or not 0 <= start < 1e9:
        raise ConfigError("Times of a video are seconds from its start, 0 or more.")
    if end is not None and not start < end:
        raise ConfigError(f"The end, {end:g} s, must come after the start, {start:g} s.")
