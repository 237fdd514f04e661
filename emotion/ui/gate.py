"""What stands between visitors and the network: a limit on simultaneous work, shared fairly."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from emotion.errors import EmotionError

if TYPE_CHECKING:
    import gradio as gr

FRAMES_PER_SECOND, FRAMES_AT_ONCE = 50.0, 25.0
"""How many frames one address may send: two visitors at full rate, or several behind one router."""

CLAIM_LASTS = 0.6
"""Seconds for which a refused visitor's turn is kept after the moment they were told."""

LONGEST_WAIT = 1.0
"""Most seconds after which a refused visitor is told to come again, however long the row is."""

_REMEMBERED = 2048  # visitors and addresses of which the last turn is known
_BUSY = "The server is busy; try again in a few seconds."


class BusyError(EmotionError):
    """Too much work is under way; the caller may try again in ``wait`` seconds."""

    def __init__(self, message: str = _BUSY, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Client(NamedTuple):
    """Who asks: an address, and one of the visitors who share it."""

    address: str
    visitor: str = ""


NOBODY = Client("")
"""Who asks where no request is behind the call."""


def client_of(request: gr.Request | None, visitor: str = "") -> Client:
    """Return who sent a request.

    Behind a proxy, all visitors have its address, unless the environment variable
    ``FORWARDED_ALLOW_IPS`` of uvicorn names it as one whose ``X-Forwarded-For`` is true.
    """
    address = request.client.host if request is not None and request.client else ""
    return Client(address, visitor)


class RateLimit:
    """A token bucket per address."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic):
        """Let ``rate`` calls a second pass for long, and ``burst`` at once after a rest."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of when

    def wait(self, address: str) -> float:
        """Take a token and return 0, or the seconds until there is one."""
        now = self._clock()
        tokens, then = self._buckets.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        passes = tokens >= 1
        self._buckets[address] = (tokens - passes, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - tokens) / self._rate


@dataclass
class _Claim:
    """Somebody who comes next: a photo that waits, or a visitor who was told to come again."""

    client: Client
    arrived: int
    until: float


class Gate:
    """Lets a bounded number of analyses run; who was served longest ago comes first.

    Turns are kept between addresses first and between the visitors of an address second, so that
    nobody gains by pretending to be many.
    """

    def __init__(
        self, slots: int, room: int = 8, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a gate for ``slots`` simultaneous analyses, with room for photos to wait."""
        self._slots = slots
        self._room = room
        self._clock = clock
        self._rate = RateLimit(FRAMES_PER_SECOND, FRAMES_AT_ONCE, clock)
        self._changed = threading.Condition()
        self._running: list[float] = []  # when each analysis began
        self._typical = 0.05  # seconds a frame takes, a running average
        self._claims: dict[Hashable, _Claim] = {}
        self._served: OrderedDict[Hashable, int] = OrderedDict()  # number of the last turn
        self._turn = self._arrivals = 0

    @contextmanager
    def enter_at_once(self, client: Client = NOBODY, patience: float = 0.0) -> Iterator[None]:
        """Hold a slot, or refuse: an old camera frame is worth nothing, so it hardly waits.

        Args:
            client: who asks.
            patience: wait for a slot that is expected within so many seconds. Whoever is sent away
                instead comes back later than that, and the slot stands empty meanwhile.

        Raises:
            BusyError: if no slot is free soon, others come first, or the address sends too much.
        """
        with self._changed:
            if wait := self._rate.wait(client.address):
                raise BusyError(wait=wait)
            now = self._clock()
            claim = self._claims.pop(client, None) or self._claim(client)
            if not self._has_turn(claim):
                wait = self._expected_wait(self._ahead(claim), now)
                claim.until = now + wait + CLAIM_LASTS
                self._claims[client] = claim
                if wait > patience or not self._changed.wait_for(
                    lambda: self._has_turn(claim), 2 * patience
                ):
                    raise BusyError(wait=wait)
                self._claims.pop(client, None)
                now = self._clock()
            self._begin(client, now)
        try:
            yield
        finally:
            with self._changed:
                self._typical += 0.2 * (self._clock() - now - self._typical)
                self._end(now)

    @contextmanager
    def enter(self, client: Client = NOBODY, timeout: float = 20.0) -> Iterator[None]:
        """Hold a slot, waiting for it up to ``timeout`` seconds.

        Raises:
            BusyError: if too many wait already, many of them from this address, or the time is
                over.
        """
        with self._changed:
            claim = self._claim(client)
            if not self._has_turn(claim):
                self._wait(claim, timeout)
            now = self._clock()
            self._begin(client, now)
        try:
            yield
        finally:
            with self._changed:
                self._end(now)

    def _wait(self, claim: _Claim, timeout: float) -> None:
        waiting = [other.client for other in self._claims.values() if other.until == math.inf]
        own = sum(other.address == claim.client.address for other in waiting)
        if len(waiting) >= self._room or own >= max(1, self._room // 2):
            raise BusyError
        self._claims[id(claim)] = claim
        deadline = self._clock() + timeout
        try:
            while not self._has_turn(claim):
                if self._clock() >= deadline:
                    raise BusyError
                # Not longer: a claim of somebody who went away ends without a notification.
                self._changed.wait(min(CLAIM_LASTS / 4, deadline - self._clock()))
        finally:
            del self._claims[id(claim)]

    def _claim(self, client: Client) -> _Claim:
        self._arrivals += 1
        return _Claim(client, self._arrivals, math.inf)

    def _has_turn(self, claim: _Claim) -> bool:
        """Tell whether a slot is free that nobody before this claim takes."""
        return self._ahead(claim) < self._slots - len(self._running)

    def _ahead(self, claim: _Claim) -> int:
        """Count the others whose turn comes first."""
        now = self._clock()
        for key in [key for key, other in self._claims.items() if other.until < now]:
            del self._claims[key]
        mine = self._order(claim)
        return sum(self._order(other) < mine for other in self._claims.values())

    def _order(self, claim: _Claim) -> tuple[int, int, int]:
        address, client = claim.client.address, claim.client
        return self._served.get(address, 0), self._served.get(client, 0), claim.arrived

    def _expected_wait(self, ahead: int, now: float) -> float:
        """Estimate the seconds until a slot is free for somebody with ``ahead`` before them."""
        first = min(self._running, default=now) + self._typical - now
        return min(max(first, 0.0) + ahead * self._typical / self._slots, LONGEST_WAIT)

    def _begin(self, client: Client, now: float) -> None:
        self._turn += 1
        for key in (client.address, client):
            self._served[key] = self._turn
            self._served.move_to_end(key)
        while len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)
        self._running.append(now)

    def _end(self, began: float) -> None:
        self._running.remove(began)
        self._changed.notify_all()
