"""The process that takes one clip apart and draws its copy: started, asked, ended."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from emotion import child
from emotion.errors import ImageError
from emotion.ui.clip_turns import StoppedError
from emotion.ui.wire import JSON
from emotion.video.worker import MESSAGE

DEADLINE = 20.0
"""Seconds within which the next frame of a clip is decoded, however busy the machine is."""

TOO_LONG = "The video takes too long to decode; save it as MP4 (H.264) and try again."

_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}

_log = logging.getLogger(__name__)


class ClipProcess:
    """Runs ``emotion.video.worker`` for one clip; only ``kill`` is for other threads."""

    def __init__(self, source: Path, copy: Path, stopped: threading.Event) -> None:
        """Start it; once ``stopped`` is set, its end is no fault of the clip."""
        self._stopped = stopped
        self._process = subprocess.Popen(
            [sys.executable, "-m", "emotion.video.worker", str(source), str(copy)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/" if os.name == "posix" else None,
            env=child.environment(**_SETTINGS),
            start_new_session=True,  # Ctrl-C is for the server, which ends this one last
        )

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status once it has ended."""
        return self._process.wait(timeout)

    def close(self) -> None:
        """End it and what leads to it."""
        self.kill()
        self.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    def message(self) -> tuple[int, int, int, float]:
        """Return what comes next, as ``worker.MESSAGE`` has it.

        Raises:
            ImageError: if it does not come in time.
            StoppedError: if the process was ended on purpose.
        """
        kind, height, width, time_s = MESSAGE.unpack(self.read(MESSAGE.size))
        return kind, height, width, time_s

    def read(self, count: int) -> bytearray:
        """Read so many bytes; raises as ``message`` does."""
        assert self._process.stdout is not None
        buffer = bytearray(count)
        view, done = memoryview(buffer), 0
        alarm = threading.Timer(DEADLINE, self.kill)
        alarm.daemon = True
        alarm.start()
        try:
            while done < count:
                got = self._process.stdout.readinto(view[done:])  # type: ignore[attr-defined]
                if not got:
                    if self._stopped.is_set():
                        raise StoppedError
                    _log.warning("a clip ended its decoder (%s)", self.wait())
                    raise ImageError(TOO_LONG)
                done += got
        finally:
            alarm.cancel()
        return buffer

    def reply(self, said: list[list[int | list[JSON]]]) -> None:
        """Tell it the frames that are ready, each with the faces to draw."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # reading says what happened
            self._process.stdin.write(json.dumps(said).encode() + b"\n")
            self._process.stdin.flush()
