"""One clip of a visitor on its way through the network, frame by frame and in turn."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emotion import child
from emotion.errors import EmotionError, ImageError
from emotion.followed import Followed
from emotion.reliability import MIN_SCORE
from emotion.result import rounded
from emotion.tracker import OPENING_FRAMES, TrackedFace, Tracker
from emotion.ui.gate import BusyError, Gate
from emotion.ui.wire import JSON
from emotion.video.people import DRAWN_LATER, Pending, Sighting
from emotion.video.stream import follow_frames, make_tracker
from emotion.video.worker import CLIP, COPY, END, FRAME, MESSAGE, MOST_PIXELS, SENTENCE

if TYPE_CHECKING:
    from subprocess import Popen

    from emotion.analyzer import Analyzer
    from emotion.result import Faces
    from emotion.ui.clients import Client

DEADLINE = 20.0
"""Seconds within which the next frame of a clip is decoded, however busy the machine is."""

PATIENCE = 0.05
"""Seconds that a frame waits at the gate before it is told to come again, as a live one's."""

YIELDS, CROWDED_FOR = 2.0, 1.0
"""Times as long as a frame took that a clip rests after it while others are at the gate, and
seconds for which they count as being there: a clip can wait, whoever looks at a camera cannot."""

_WAITED = 0.005  # seconds at the gate from which on somebody else held it

MOST_FACES = 10
"""Faces of a frame that are analysed: those that ``Analyzer.analyze`` keeps."""

_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}
_MOST_TEXT = 4096
_TOO_LONG = "The video takes too long to decode; save it as MP4 (H.264) and try again."

_log = logging.getLogger(__name__)
_running = threading.BoundedSemaphore(2)  # each decodes and encodes besides, on two cores


class _StoppedError(Exception):
    """Nobody wants the clip any more."""


class Work:
    """What becomes of one clip; ``run`` works, other threads may ask and stop meanwhile."""

    def __init__(self, source: Path, copy: Path, analyzer: Analyzer, gate: Gate, client: Client):
        """Prepare to analyze ``source``; the copy with boxes will be ``copy``."""
        self._source, self._copy = source, copy
        self._analyzer, self._gate, self._client = analyzer, gate, client
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._state = "waiting"
        self._error: JSON = {}
        self._about: JSON = {}
        self._remark: str | None = None
        self._times: list[float] = []
        self._rows: list[list[Any]] = []
        self._process: Popen[bytes] | None = None

    @property
    def state(self) -> str:
        """What ``report`` calls it."""
        return self._state

    def stop(self) -> None:
        """End it as soon as possible; the child is gone when ``run`` returns."""
        self._stopped.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def report(self, after: tuple[int, int] = (0, 0)) -> JSON:
        """Return how far it is, and what is new.

        Args:
            after: how many times and rows the asker has already.

        Returns:
            ``state``: waiting, working, done or failed; ``error`` and ``detail`` of the last;
            ``length`` in seconds or None, ``width``, ``height`` in px; ``times``, when each frame
            was taken; ``rows``, a list per face and frame: frame, number of the face, its box in
            px, six probabilities, sure, score, calm and answer; ``copy``, whether there is one;
            ``remark``, an English sentence or None.
        """
        with self._lock:
            times, rows = self._times[after[0] :], self._rows[after[1] :]
            return {
                "state": self._state,
                **self._error,
                **self._about,
                "times": times,
                "rows": rows,
                "copy": self._state == "done" and self._copy.exists(),
                "remark": self._remark,
            }

    def run(self) -> None:
        """Analyze the clip, which is deleted in the end; never raise."""
        try:
            while not _running.acquire(timeout=0.5):
                if self._stopped.is_set():
                    return
            try:
                self._run()
            finally:
                _running.release()
            self._set("done")
        except _StoppedError:
            pass
        except EmotionError as error:
            self._set("failed", {"error": "video_unreadable", "detail": str(error)})
        except Exception:
            if not self._stopped.is_set():
                _log.exception("a clip could not be analysed")
            self._set("failed", {"error": "internal"})
        finally:
            with suppress(OSError):
                self._source.unlink()

    def _set(self, state: str, error: JSON | None = None) -> None:
        with self._lock:
            self._state, self._error = state, error or {}

    def _run(self) -> None:
        process = _start(self._source, self._copy)
        with self._lock:
            self._process = process
        try:
            if self._stopped.is_set():
                raise _StoppedError
            self._follow(process)
            self._wait_for_copy(process)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()

    def _follow(self, process: Popen[bytes]) -> None:
        """Follow the faces as ``emotion.video.analyze_video`` does, and say what to draw."""
        frames = self._frames(process)
        first = next(frames, None)
        if first is None:
            raise ImageError("The video has no frame.")
        tracker = make_tracker(self._analyzer, float(self._about["every"]))
        pending = Pending([self._take], tracker)
        waiting: deque[tuple[int, list[TrackedFace]]] = deque()
        in_turn = _InTurn(self._analyzer, self._gate, self._client, self._stopped)
        last = 0.0

        def all_frames() -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
            yield first
            yield from frames

        for index, (_, time_s, faces) in enumerate(
            follow_frames(in_turn, all_frames(), tracker, MIN_SCORE)
        ):
            with self._lock:
                pending.add(index, time_s, time_s - last, faces)
                self._times.append(round(time_s, 3))
            last = time_s
            waiting.append((index, faces))
            ready = [waiting.popleft()] if len(waiting) > DRAWN_LATER else []
            _reply(process, ready)
        self._finish(process, tracker, pending, waiting)

    def _finish(
        self,
        process: Popen[bytes],
        tracker: Tracker,
        pending: Pending,
        waiting: deque[tuple[int, list[TrackedFace]]],
    ) -> None:
        with self._lock:
            if len(self._times) < OPENING_FRAMES:
                tracker.settle()
            pending.flush()
        _reply(process, list(waiting))

    def _take(self, one: Sighting) -> None:
        box = [round(float(value) * self._scale, 1) for value in one.box]
        scores = [rounded(value) for value in one.probabilities]
        told = [int(one.sure), rounded(one.score), rounded(one.calm), one.answer]
        self._rows.append([one.frame, one.face, box, scores, *told])

    def _frames(self, process: Popen[bytes]) -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
        while True:
            kind, height, width, time_s = self._message(process)
            if kind == FRAME:
                if not 0 < height * width <= MOST_PIXELS:
                    raise ImageError(_TOO_LONG)  # the process does not do what it should any more
                pixels = self._read(process, 3 * height * width)
                self._scale = self._about["width"] / width
                yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3), time_s
                continue
            text = self._read(process, min(width, _MOST_TEXT)).decode("utf-8", "replace")
            if kind == SENTENCE:
                raise ImageError(text)
            said = json.loads(text)
            if kind == END:
                self._remark = said["remark"]
                return
            assert kind == CLIP
            with self._lock:
                self._about = said
                self._state = "working"

    def _wait_for_copy(self, process: Popen[bytes]) -> None:
        """Wait for the copy; the numbers stand without it, too."""
        with suppress(ImageError):
            kind, *_ = self._message(process)
            if kind != COPY:
                _log.warning("a clip has no copy")

    def _message(self, process: Popen[bytes]) -> tuple[int, int, int, float]:
        kind, height, width, time_s = MESSAGE.unpack(self._read(process, MESSAGE.size))
        return kind, height, width, time_s

    def _read(self, process: Popen[bytes], count: int) -> bytearray:
        assert process.stdout is not None
        buffer = bytearray(count)
        view, done = memoryview(buffer), 0
        alarm = threading.Timer(DEADLINE, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            while done < count:
                got = process.stdout.readinto(view[done:])  # type: ignore[attr-defined]
                if not got:
                    if self._stopped.is_set():
                        raise _StoppedError
                    _log.warning("a clip ended its decoder (%s)", process.wait())
                    raise ImageError(_TOO_LONG)
                done += got
        finally:
            alarm.cancel()
        return buffer


class _InTurn:
    """Analyzes frames when it is their visitor's turn: before each, those of cameras may come."""

    def __init__(self, analyzer: Analyzer, gate: Gate, client: Client, stopped: threading.Event):
        self._analyzer, self._gate = analyzer, gate
        self._client, self._stopped = client, stopped
        self._crowded_until = 0.0

    def analyze(
        self,
        image: npt.NDArray[np.uint8],
        *,
        max_side: int,
        exact: bool,
        min_score: float,
        known: Followed | None,
    ) -> Faces:
        while True:
            asked = time.monotonic()
            try:
                with self._gate.enter_at_once(self._client, PATIENCE, PATIENCE) as turn:
                    turn.decoded = True
                    began = time.monotonic()
                    faces = self._analyzer.analyze(
                        image,
                        max_faces=MOST_FACES,
                        max_side=max_side,
                        exact=exact,
                        min_score=min_score,
                        known=known,
                    )
            except BusyError as error:
                self._crowded_until = time.monotonic() + CROWDED_FOR
                self._rest(max(error.wait, 0.02))
                continue
            now = time.monotonic()
            if began - asked > _WAITED:
                self._crowded_until = now + CROWDED_FOR
            if now < self._crowded_until:
                self._rest(YIELDS * (now - began))
            return faces

    def _rest(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise _StoppedError


def _start(source: Path, copy: Path) -> Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "emotion.video.worker", str(source), str(copy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/" if os.name == "posix" else None,
        env=child.environment(**_SETTINGS),
        start_new_session=True,  # Ctrl-C is for the server, which ends this one last
    )


def _reply(process: Popen[bytes], ready: list[tuple[int, list[TrackedFace]]]) -> None:
    assert process.stdin is not None
    said = [[index, [_drawn(face) for face in faces if face.id]] for index, faces in ready]
    with suppress(BrokenPipeError):  # reading says what happened
        process.stdin.write(json.dumps(said).encode() + b"\n")
        process.stdin.flush()


def _drawn(tracked: TrackedFace) -> JSON:
    face = tracked.face
    assert face.box is not None  # only detected faces are tracked
    return {
        "id": tracked.id,
        "answer": tracked.answer,
        "box": face.box.astype(float).round(1).tolist(),
        "probabilities": [round(float(value), 4) for value in face.probabilities],
        "sure": bool(face.sure),
        "calm": rounded(face.calm),
        "reason": face.reason,
    }
