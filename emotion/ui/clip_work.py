"""One clip of a visitor on its way through the network, frame by frame and in turn."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emotion.errors import EmotionError, ImageError
from emotion.reliability import MIN_SCORE
from emotion.result import rounded
from emotion.tracker import OPENING_FRAMES, TrackedFace, Tracker
from emotion.ui.clip_process import TOO_LONG, ClipProcess
from emotion.ui.clip_turns import InTurn, StoppedError
from emotion.ui.wire import JSON, face_geometry, heat_text
from emotion.video.people import DRAWN_LATER, Pending, Sighting
from emotion.video.stream import follow_frames, make_tracker
from emotion.video.worker import CLIP, COPY, END, FRAME, MOST_PIXELS, SENTENCE

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.result import FaceResult
    from emotion.ui.clients import Client
    from emotion.ui.gate import Gate

_MOST_TEXT = 4096

_log = logging.getLogger(__name__)
_running = threading.BoundedSemaphore(2)  # each decodes and encodes besides, on two cores


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
        self._maps: dict[int, list[tuple[Any, list[Any]]]] = {}  # by frame, with whose track it is
        self._process: ClipProcess | None = None

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
            px, six probabilities, sure, score, calm, answer, the crop's place in the frame and
            the map of its strongest class, see ``emotion.ui.wire``; ``copy``, whether there is one;
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
        except StoppedError:
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
        process = ClipProcess(self._source, self._copy, self._stopped)
        with self._lock:
            self._process = process
        try:
            if self._stopped.is_set():
                raise StoppedError
            self._follow(process)
            self._wait_for_copy(process)
        finally:
            process.close()

    def _follow(self, process: ClipProcess) -> None:
        """Follow the faces as ``emotion.video.analyze_video`` does, and say what to draw."""
        frames = self._frames(process)
        first = next(frames, None)
        if first is None:
            raise ImageError("The video has no frame.")
        bound = self._analyzer.network.config.abstain_below
        tracker = make_tracker(bound, float(self._about["every"]))
        pending = Pending([self._take], tracker)
        waiting: deque[tuple[int, list[TrackedFace]]] = deque()
        in_turn = InTurn(self._analyzer, self._gate, self._client, self._stopped)
        last = 0.0

        def all_frames() -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
            yield first
            yield from frames

        for index, (image, time_s, faces) in enumerate(
            follow_frames(in_turn, all_frames(), tracker, MIN_SCORE)
        ):
            with self._lock:
                self._maps[index] = [(face.track, _map(face.face, image)) for face in faces]
                pending.add(index, time_s, time_s - last, faces)
                self._times.append(round(time_s, 3))
            last = time_s
            waiting.append((index, faces))
            ready = [waiting.popleft()] if len(waiting) > DRAWN_LATER else []
            _reply(process, ready)
        self._finish(process, tracker, pending, waiting)

    def _finish(
        self,
        process: ClipProcess,
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
        for frame in [frame for frame in self._maps if frame < one.frame]:
            del self._maps[frame]  # sightings come in the order of the frames
        maps = next(told for track, told in self._maps[one.frame] if track.id == one.face)
        self._rows.append([one.frame, one.face, box, scores, *told, *maps])

    def _frames(self, process: ClipProcess) -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
        while True:
            kind, height, width, time_s = process.message()
            if kind == FRAME:
                if not 0 < height * width <= MOST_PIXELS:
                    raise ImageError(TOO_LONG)  # the process does not do what it should any more
                pixels = process.read(3 * height * width)
                self._scale = self._about["width"] / width
                yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3), time_s
                continue
            text = process.read(min(width, _MOST_TEXT)).decode("utf-8", "replace")
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

    def _wait_for_copy(self, process: ClipProcess) -> None:
        """Wait for the copy; the numbers stand without it, too."""
        with suppress(ImageError):
            kind, *_ = process.message()
            if kind != COPY:
                _log.warning("a clip has no copy")


def _map(face: FaceResult, image: npt.NDArray[np.uint8]) -> list[Any]:
    """Say where a face's crop lies in its frame, and what spoke there for its strongest class."""
    height, width = image.shape[:2]
    return [face_geometry(face, width, height)["place"], heat_text(face)]


def _reply(process: ClipProcess, ready: list[tuple[int, list[TrackedFace]]]) -> None:
    process.reply([[index, [_drawn(face) for face in faces if face.id]] for index, faces in ready])


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
