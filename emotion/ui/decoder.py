"""Uploads are decoded in a process of their own, one at a time, which can be killed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from typing import IO

import numpy as np

from emotion import child
from emotion.arrays import RGBImage
from emotion.child.decode import ANSWER, PIXELS, REQUEST
from emotion.errors import ImageError
from emotion.images import MAX_PIXELS
from emotion.ui.clients import NOBODY, Client
from emotion.ui.gate import Gate

DEADLINE = 20.0
"""Seconds within which a picture is decoded, however busy the machine is."""

_SETTINGS = {  # glibc gives its memory back after each picture
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
}
_TOO_LONG = "The picture takes too long to decode; save it as a plain JPEG and try again."

_log = logging.getLogger(__name__)


class Decoder:
    """Decodes the files of visitors, as ``emotion.images.decode_image`` does.

    Visitors take turns by their address, as for the network, but in a row of their own: a picture
    that takes long keeps no camera frame waiting.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        """Start the process; it is there when the first picture comes."""
        self._deadline = deadline
        self._turns = Gate(slots=1)
        self._begin()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    def decode(self, content: bytes, client: Client = NOBODY) -> RGBImage:
        """Decode a picture file, see ``emotion.images.decode_image``.

        Args:
            content: of the file.
            client: whose turn it takes.

        Raises:
            ImageError: if it is no readable picture, or takes too long or too much memory.
            BusyError: if too many wait.
        """
        with self._turns.enter(client):
            if self._process.poll() is not None:
                self._restart()
            process = self._process
            alarm = threading.Timer(self._deadline, process.kill)
            alarm.daemon = True
            alarm.start()
            try:
                return _ask(process, content)
            except (OSError, EOFError):
                process.kill()
                status = process.wait()
                _log.warning("a picture of %d bytes ended its decoder (%d)", len(content), status)
                self._restart()
                raise ImageError(_TOO_LONG) from None
            finally:
                alarm.cancel()

    def close(self) -> None:
        """End the process."""
        self._finalizer()

    def _restart(self) -> None:
        self._finalizer()
        self._begin()

    def _begin(self) -> None:
        self._process = _start()
        self._finalizer = weakref.finalize(self, _end, self._process)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "emotion.child.decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/" if os.name == "posix" else None,
        env=child.environment(**_SETTINGS),
        start_new_session=True,  # Ctrl-C is for the server, which ends this one last
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not written yet
                pipe.close()


def _ask(process: subprocess.Popen[bytes], content: bytes) -> RGBImage:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(REQUEST.pack(len(content)))
    process.stdin.write(content)
    process.stdin.flush()
    kind, height, width = ANSWER.unpack(_read(process.stdout, ANSWER.size))
    if kind != PIXELS:
        raise ImageError(_read(process.stdout, min(width, 1000)).decode("utf-8", "replace"))
    if not 0 < height * width <= MAX_PIXELS:
        raise EOFError  # the process does not do what it should any more
    pixels = _read(process.stdout, 3 * height * width)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _read(pipe: IO[bytes], count: int) -> bytearray:
    buffer = bytearray(count)
    view, done = memoryview(buffer), 0
    while done < count:
        got = pipe.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        done += got
    return buffer
