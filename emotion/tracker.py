"""Faces over time: who is who from frame to frame, and numbers that do not flicker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotion.calibration import CALM_BOUND, softmax
from emotion.detect.base import Face
from emotion.followed import Followed, View
from emotion.labels import CALM
from emotion.pairing import Array, box_of, pair, points_of
from emotion.reliability import RELIABLE
from emotion.result import FaceResult, Faces

TIME_CONSTANT = 0.3
"""Seconds after which a new expression makes up 63 % of the smoothed logits and maps."""

PATIENCE = 2.0
"""Seconds for which a face that frames do not show keeps its track."""

LONGEST_PAUSE = 10.0
"""Seconds between two frames after which nobody is taken for the same."""

HOLD = 0.5
"""Seconds for which another answer must hold before it is the one that people are told."""

OPENING_FRAMES = 3
OPENING_S = 0.3
"""A face counts from its third frame on, or when it was seen for so long, if the detector's mean
confidence is ``RELIABLE``: lights that it takes for a face now and then never do."""

SEARCH_EVERY = 0.2
"""Seconds after which the whole frame is searched again while faces are followed; so a new one is
seen soon enough to open its track within 0.3 s."""

ONE_VIEW_WITHIN = 0.25
"""Seconds between frames up to which the crop of a followed face and its mirror image take turns:
smoothing averages them. After longer pauses a single frame would count for too much."""

CLEAR = 0.3
"""How far smoothed probabilities must be from where the answer would be another one, for one view
to be enough; times the weight that the next frame has among them."""

_LEAST = 1e-4  # bounds the logits, so that one overconfident frame cannot outweigh all others


@dataclass(frozen=True)
class TrackedFace:
    """One face of the newest frame, and what its track says.

    Attributes:
        face: the newest result with smoothed probabilities, maps and calm; box, landmarks, crop and
            matrix are the newest frame's own.
        track: whom it belongs to.
        answer: what people are told, see ``FaceResult.answer``: that of ``face`` as soon as it has
            held for ``HOLD``, until then the one before.
    """

    face: FaceResult
    track: _Track
    answer: str

    @property
    def id(self) -> int:
        """Number of the track, 1 for the first that opened, never given twice; 0 until it opens."""
        return self.track.id

    @property
    def settled(self) -> bool:
        """Whether the answer is what the numbers of this frame say."""
        return self.answer == self.face.answer


class Tracker:
    """Follows the faces of one video; one thread at a time may use it."""

    def __init__(
        self, abstain_below: float = 0.0, *, patient: bool = False, every: float = 0.0
    ) -> None:
        """Start without tracks.

        Args:
            abstain_below: of the network's config: a confidence below it is "not sure", 0..1.
            patient: open a track only at the third frame that shows its face, or after 0.3 s; for
                videos. By default it is open at once, as single frames need it.
            every: seconds between frames where most are left out: a pause is longer than that, and
                an answer holds at once if it is longer than ``HOLD``.
        """
        self.abstain_below = abstain_below
        self.patient = patient
        self._longest_pause = max(LONGEST_PAUSE, 2 * every)
        self._hold = 0.0 if every >= HOLD else HOLD
        self.time_s = -math.inf  # of the newest frame
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._newest: list[_Track] = []  # of the newest frame
        self._upright = False  # whether all its faces are known and none stands on its head
        self._searched_s = -math.inf

    def known(self, time_s: float) -> Followed | None:
        """Return what is known of the faces of the frame of this time.

        Args:
            time_s: when the frame was taken, as for ``update``.

        Returns:
            The faces of the newest frame. It is enough to search around them, unless there are more
            faces, one stands on its head, or the whole frame was not searched for ``SEARCH_EVERY``.
            None if no face is followed.
        """
        elapsed = time_s - self.time_s
        if not self._newest or not 0 <= elapsed <= self._longest_pause:
            return None
        around = self._upright and self._searched_s <= time_s < self._searched_s + SEARCH_EVERY
        faces = [Face(track.box, track.points, 1.0) for track in self._newest]
        return Followed(faces, [track.next_view(elapsed) for track in self._newest], around)

    def update(self, results: Sequence[FaceResult], time_s: float) -> list[TrackedFace]:
        """Take the faces of the next frame.

        A face that no track fits starts one, which knows nothing of the others. A track ends when
        its face was missing from frames for ``PATIENCE``, and all do in a ``LONGEST_PAUSE``; so a
        slow machine, which sees few frames, does not lose faces.

        Args:
            results: detected faces, that is, with boxes.
            time_s: when the frame was taken, in seconds from any fixed moment.

        Returns:
            The faces in the order of ``results``.

        Raises:
            ValueError: if the frame is older than the one before.
        """
        if time_s < self.time_s:
            raise ValueError(f"A frame of {time_s} s came after one of {self.time_s} s.")
        if time_s - self.time_s > self._longest_pause:
            self._tracks = []
        self.time_s = time_s
        known = pair(self._tracks, results)
        tracked = [
            self._start(result) if track is None else self._continue(track, result)
            for track, result in zip(known, results, strict=True)
        ]
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= PATIENCE]
        faces = results if isinstance(results, Faces) else Faces(results)
        if faces.whole:
            self._searched_s = time_s
        self._newest = [one.track for one in tracked]
        self._upright = faces.found == len(faces) and all(one.reason != "turned" for one in faces)
        return tracked

    def settle(self) -> None:
        """Open the tracks of a video that ended before any face could show three times."""
        for track in self._tracks:
            self._open(track, ended=True)

    def _start(self, result: FaceResult) -> TrackedFace:
        calm = None if result.calm is None else _logit(result.calm)
        track = _Track(
            box_of(result),
            points_of(result),
            _logits(result.probabilities),
            result.cams,
            calm,
            self.time_s,
            self.time_s,
        )
        track.score_sum = _score(result)
        track.hold = self._hold
        self._tracks.append(track)
        self._open(track)
        return track.says(result, self.abstain_below)

    def _continue(self, track: _Track, result: FaceResult) -> TrackedFace:
        elapsed = self.time_s - track.seen_s
        track.logits = smooth(track.logits, _logits(result.probabilities), elapsed)
        track.cams = smooth(track.cams, result.cams, elapsed)
        if track.calm is not None and result.calm is not None:
            track.calm = smooth(track.calm, _logit(result.calm), elapsed)
        track.box, track.points, track.seen_s = box_of(result), points_of(result), self.time_s
        track.frames += 1
        track.score_sum += _score(result)
        self._open(track)
        return track.says(result, self.abstain_below)

    def _open(self, track: _Track, *, ended: bool = False) -> None:
        # What is no face is taken for one at low scores, a little here and a little there.
        reliable = track.score_sum >= RELIABLE * track.frames
        lasted = (
            ended or track.frames >= OPENING_FRAMES or track.seen_s - track.since_s >= OPENING_S
        )
        if not track.id and ((lasted and reliable) or not self.patient):
            self._last_id += 1
            track.id = self._last_id


@dataclass
class _Track:
    """What is remembered of a face: numbers, no pixels."""

    box: Array
    points: Array
    logits: Array
    cams: Array
    calm: Array | None
    since_s: float
    seen_s: float
    frames: int = 1
    score_sum: float = 0.0
    id: int = 0
    hold: float = HOLD
    answer: str = ""
    other: str = ""  # an answer that waits for its turn
    other_since_s: float = 0.0  # when that one came up
    lead: float = 0.0  # see _lead

    def next_view(self, elapsed: float) -> View:
        weight = 1 - math.exp(-elapsed / TIME_CONSTANT)
        if self.lead < CLEAR * weight or elapsed > ONE_VIEW_WITHIN:
            return View.BOTH
        return View.MIRRORED if self.frames % 2 else View.STRAIGHT

    def says(self, result: FaceResult, abstain_below: float) -> TrackedFace:
        probabilities = softmax(self.logits)
        face = replace(
            result,
            probabilities=probabilities,
            cams=self.cams,
            sure=float(probabilities.max()) >= abstain_below and result.reason is None,
            calm=None if self.calm is None else float(1 / (1 + np.exp(-self.calm))),
        )
        self._decide(face.answer)
        self.lead = _lead(face, abstain_below)
        return TrackedFace(face, self, self.answer)

    def _decide(self, answer: str) -> None:
        if answer != self.other:
            self.other, self.other_since_s = answer, self.seen_s
        if not self.answer or self.seen_s - self.other_since_s >= self.hold:
            self.answer = answer


def smooth(before: Array, now: Array, elapsed: float) -> Array:
    """Average exponentially in continuous time, a first-order low-pass.

    ``y(t) = y(t - dt) exp(-dt / T) + x (1 - exp(-dt / T))`` is the exact response to an input that
    keeps the value ``x`` during ``dt``; so the frame rate does not matter.

    Args:
        before: smoothed values so far.
        now: the new ones, of the same shape.
        elapsed: seconds between the two, >= 0.

    Returns:
        float32 of the same shape, between the two everywhere.
    """
    keep = math.exp(-elapsed / TIME_CONSTANT)
    return np.asarray(keep * before + (1 - keep) * now, np.float32)


def _lead(face: FaceResult, abstain_below: float) -> float:
    """Say by how much a probability may be off before answer or strongest class are others."""
    second, first = np.sort(face.probabilities)[-2:]
    leads = [first - second]
    if face.calm is not None:
        leads.append(abs(face.calm - CALM_BOUND))
    if face.answer != CALM:
        leads.append(abs(first - abstain_below))
    return float(min(leads))


def _score(face: FaceResult) -> float:
    return 1.0 if face.score is None else face.score


def _logits(probabilities: Array) -> Array:
    # Log-probabilities are the calibrated logits, up to a shift that softmax ignores.
    return np.log(np.maximum(probabilities, _LEAST))


def _logit(probability: float) -> Array:
    bounded = min(max(probability, _LEAST), 1 - _LEAST)
    return np.asarray(math.log(bounded / (1 - bounded)), np.float32)
