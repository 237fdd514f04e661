"""When the frames of clips are analysed: a clip can wait, whoever looks at a camera cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emotion.ui.gate import BusyError, Gate

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.followed import Followed
    from emotion.result import Faces
    from emotion.ui.clients import Client

PATIENCE = 0.05
"""Seconds that a frame waits at the gate before it is told to come again, as a live one's."""

YIELDS, CROWDED_FOR = 9.0, 1.0
"""Times as long as a frame took that all clips rest after it while others are at the gate, so that
these keep nine tenths of the network; and seconds for which they count as being there."""

MOST_FACES = 10
"""Faces of a frame that are analysed: those that ``Analyzer.analyze`` keeps."""

_WAITED = 0.005  # seconds at the gate from which on somebody else held it
_one_clip = threading.Lock()  # held during a frame and the rest after it


class StoppedError(Exception):
    """Nobody wants the clip any more."""


class InTurn:
    """Analyzes frames when it is their visitor's turn: before each, those of cameras may come."""

    def __init__(self, analyzer: Analyzer, gate: Gate, client: Client, stopped: threading.Event):
        """Ask the gate for a client, until ``stopped`` is set."""
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
        """Analyze a frame as ``Analyzer.analyze`` does, and rest while others are there.

        Raises:
            StoppedError: if nobody wants the clip any more.
        """
        while True:
            with self._among_clips():
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
                    wait = max(error.wait, 0.02)
                else:
                    now = time.monotonic()
                    if began - asked > _WAITED:
                        self._crowded_until = now + CROWDED_FOR
                    if now < self._crowded_until:
                        self._rest(YIELDS * (now - began))
                    return faces
            self._rest(wait)

    @contextmanager
    def _among_clips(self) -> Iterator[None]:
        """Take turns with other clips, so that all of them together rest."""
        while not _one_clip.acquire(timeout=0.2):
            self._rest(0.0)
        try:
            yield
        finally:
            _one_clip.release()

    def _rest(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise StoppedError
