"""The tracks of everybody who watches: bounded in number and in age."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from emotion.tracker import TrackedFace, Tracker
from emotion.ui.gate import BusyError

if TYPE_CHECKING:
    from emotion.followed import Followed
    from emotion.result import FaceResult

CAPACITY = 256
"""Most visitors that are followed at a time; one takes about 10 KB, numbers without pixels."""

LIFETIME = 120.0
"""Seconds after their last frame from which on visitors are forgotten, when another one comes."""


class Visitors:
    """One tracker per visitor; safe to share by threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Follow nobody yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Tracker, float]] = OrderedDict()  # and its last frame

    def __len__(self) -> int:
        return len(self._known)

    def known(self, visitor: str, time_s: float) -> Followed | None:
        """Return what is known of the faces of a visitor's next frame, see ``Tracker.known``."""
        with self._lock:
            tracker, _ = self._known.get(visitor, (None, 0.0))
            return tracker.known(time_s) if tracker else None

    def follow(
        self, visitor: str, results: Sequence[FaceResult], time_s: float, abstain_below: float
    ) -> list[TrackedFace]:
        """Take the faces of a visitor's next frame, see ``Tracker.update``.

        Faces that were seen for a moment only are not among those returned.

        Args:
            visitor: what the browser calls itself; with an empty name the frame stands alone.
            results: the faces.
            time_s: when the frame was taken, by the visitor's clock.
            abstain_below: of the network that gave the results; a renewal may change it.

        Raises:
            BusyError: if a newer frame of this visitor was answered already.
        """
        if not visitor:
            return Tracker(abstain_below).update(results, time_s)
        with self._lock:
            now = self._clock()
            fresh = Tracker(patient=True)
            tracker, _ = self._known.pop(visitor, (fresh, now))
            tracker.abstain_below = abstain_below
            self._known[visitor] = tracker, now
            self._forget(now)
            if time_s < tracker.time_s:
                raise BusyError("A newer frame was answered already.")
            return [face for face in tracker.update(results, time_s) if face.id]

    def _forget(self, now: float) -> None:
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) <= CAPACITY and now - self._known[oldest][1] <= LIFETIME:
                return
            del self._known[oldest]
