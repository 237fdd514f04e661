"""Who was seen in a video, when, and how they looked: sums, however long it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from emotion.labels import LABELS
from emotion.tracker import OPENING_FRAMES, PATIENCE, TrackedFace, Tracker

LONGEST_DOUBT = 10.0
"""Seconds after which what is no face yet is none in the frames before; rows wait no longer."""

DRAWN_LATER = OPENING_FRAMES - 1
"""Frames that a copy is behind, so that a face's first ones show it too."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame; no maps and no crops.

    Attributes:
        frame: counted from 0, over those that are analysed.
        time_s: seconds from the start of the video.
        held_s: seconds since the analysed frame before.
        face: number of the face's track, from 1.
        box: float32 (4,), x0, y0, x1, y1 in px of the frame.
        score: confidence of the detector, 0..1.
        probabilities: float32 (6,), smoothed over time, see ``emotion.tracker.Tracker``.
        sure: whether the highest of them reaches the threshold.
        calm: smoothed, see ``FaceResult.calm``.
        answer: what people are told, see ``emotion.tracker.TrackedFace``.
    """

    frame: int
    time_s: float
    held_s: float
    face: int
    box: npt.NDArray[np.float32]
    score: float | None
    probabilities: npt.NDArray[np.float32]
    sure: bool
    calm: float | None
    answer: str


@dataclass
class Person:
    """One track.

    Attributes:
        first_s: when it was seen first.
        last_s: and last.
        seen_s: seconds for which it was seen.
        answers: what people were told -> for how many of these seconds.
        sums: float64 (6,), the probabilities, each times its seconds.
    """

    first_s: float
    last_s: float
    seen_s: float = 0.0
    answers: dict[str, float] = field(default_factory=dict)
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(LABELS)))

    def shares(self) -> list[tuple[str, float]]:
        """Return each answer and its share of the time, the longest first."""
        whole = self.seen_s or 1.0
        ordered = sorted(self.answers.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(answer, seconds / whole) for answer, seconds in ordered]


class People:
    """Everybody in a video; ``frames`` counts those that were analysed."""

    def __init__(self) -> None:
        self.frames = 0
        self.known: dict[int, Person] = {}

    def add(self, one: Sighting) -> None:
        """Take one face of one frame, which counts for the time since the frame before."""
        person = self.known.setdefault(one.face, Person(one.time_s, one.time_s))
        person.last_s = one.time_s
        person.seen_s += one.held_s
        person.answers[one.answer] = person.answers.get(one.answer, 0.0) + one.held_s
        person.sums += one.held_s * one.probabilities

    def lines(self) -> list[str]:
        """Say in a line per face when it was seen and for which share of the time it looked how.

        Where there are several, the last line says why one person can have two numbers.
        """
        lines = []
        for number, person in sorted(self.known.items()):
            shares = ", ".join(f"{answer} {100 * share:.0f} %" for answer, share in person.shares())
            mean = person.sums / (person.seen_s or 1.0)
            scores = ", ".join(f"{LABELS[i]} {mean[i]:.2f}" for i in mean.argsort()[::-1])
            when = f"{person.first_s:.1f}-{person.last_s:.1f} s"
            lines.append(f"face {number}, {when}, share of the time: {shares}; mean: {scores}")
        if len(lines) > 1:
            lines.append(
                f"Who is not seen for {PATIENCE:.0f} seconds gets a new number, so a person may "
                "have several."
            )
        return lines


class Pending:
    """Sightings whose tracks may still open, in order; without maps and crops."""

    def __init__(self, sinks: Sequence[Callable[[Sighting], object]], tracker: Tracker) -> None:
        self._sinks = sinks
        self._tracker = tracker
        self._waiting: deque[_Seen] = deque()

    def add(self, frame: int, time_s: float, held_s: float, faces: list[TrackedFace]) -> None:
        """Take a frame's faces, and hand on what is decided."""
        self._waiting.extend(_Seen(frame, time_s, held_s, tracked) for tracked in faces)
        while self._waiting and self._is_decided(self._waiting[0]):
            self._hand_on(self._waiting.popleft())

    def flush(self) -> None:
        """Hand on the rest after the last frame."""
        while self._waiting:
            self._hand_on(self._waiting.popleft())

    def _is_decided(self, seen: _Seen) -> bool:
        now = self._tracker.time_s
        gone = now - seen.track.seen_s > PATIENCE
        return seen.track.id > 0 or gone or now - seen.time_s > LONGEST_DOUBT

    def _hand_on(self, seen: _Seen) -> None:
        if seen.track.id:
            for sink in self._sinks:
                sink(seen.sighting)


class _Seen:
    """A sighting whose track may still open; without the maps and the crop."""

    def __init__(self, frame: int, time_s: float, held_s: float, tracked: TrackedFace) -> None:
        face = tracked.face
        assert face.box is not None  # only detected faces are tracked
        self.track = tracked.track
        self.time_s = time_s
        told = face.sure, face.calm, tracked.answer
        self._sighting = Sighting(
            frame, time_s, held_s, 0, face.box, face.score, face.probabilities, *told
        )

    @property
    def sighting(self) -> Sighting:
        return replace(self._sighting, face=self.track.id)
