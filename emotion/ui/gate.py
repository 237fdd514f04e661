"""What stands between visitors and the network: a limit on simultaneous work, shared fairly."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emotion.errors import EmotionError
from emotion.ui.clients import NOBODY, REMEMBERED, Client, RateLimit
from emotion.ui.shares import Shares

FRAMES_PER_SECOND, FRAMES_AT_ONCE = 50.0, 25.0
"""How many frames one address may send: two visitors at full rate, or several behind one router."""

NEWCOMERS_PER_SECOND, NEWCOMERS_AT_ONCE = 1.0, 16.0
"""How many new names of one address are served as everybody is; more come after all others."""

BETWEEN_FRAMES = 0.1
"""Seconds after a visitor's turn in which the next frame is likely to come: what comes after all
others leaves the slot to it, and so does who has had more than a frame beyond their share."""

CLAIM_LASTS = 0.6
"""Seconds for which a refused visitor's turn is kept after the moment they were told."""

LONGEST_WAIT = 1.0
"""Most seconds after which a refused visitor is told to come again, however long the row is."""

CLAIMS_PER_ADDRESS = 8
"""Most turns that are kept at a time for the visitors of one address."""

SLOT_LASTS = 30.0
"""Seconds after which an analysis no longer counts: it hangs, and others shall go on."""

# Whoever lets a kept turn pass while others are sent away gets none for so many times as long, and
# nobody else does for the shorter time: slots stand empty for at most a tenth and a quarter of it.
_OWN_PENALTY, _COMMON_PENALTY = 9.0, 3.0
_EVERYBODY = "*"
_log = logging.getLogger(__name__)
_BUSY = "The server is busy; try again in a few seconds."


class BusyError(EmotionError):
    """Too much work is under way; the caller may try again in ``wait`` seconds."""

    def __init__(self, message: str = _BUSY, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(eq=False)
class _Claim:
    """Somebody who comes next: who waits, or a visitor who was told to come again.

    Attributes:
        client: whose turn it is.
        arrived: number of the request.
        until: when it lapses; infinite for who waits.
        kept_out: since when others are sent away from a free slot because of it.
        first: whether it is the place of those whom the gate does not know yet.
        last: whether all others come first.
    """

    client: Client
    arrived: int
    until: float = math.inf
    kept_out: float = math.inf
    first: bool = False
    last: bool = False


@dataclass(eq=False)
class Turn:
    """A slot that is held.

    Attributes:
        client: by whom.
        began: when.
        decoded: to be set once the request turned out to hold a picture: who sent it exists.
    """

    client: Client
    began: float
    decoded: bool = False


class Gate:
    """Lets a bounded number of analyses run; who had least of it comes first.

    Who comes first is said by ``Shares``. Turns are kept between addresses first and between the
    visitors of an address second, so that nobody gains by pretending to be many. A visitor who was
    refused finds their turn kept when they come again, but only one whose last frame was a picture:
    a name costs nothing, and a slot that waits for somebody who never returns is lost to everybody.
    Names not seen before share one place per address, in which they wait; an address that brings
    more of them than a school does has that place behind everybody, so that names used once cost
    others only what is left over.
    """

    def __init__(
        self, slots: int, room: int = 8, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a gate for ``slots`` simultaneous analyses, with room for others to wait."""
        self._slots = slots
        self._room = room
        self._clock = clock
        self._rate = RateLimit(FRAMES_PER_SECOND, FRAMES_AT_ONCE, clock)
        self._newcomers = RateLimit(NEWCOMERS_PER_SECOND, NEWCOMERS_AT_ONCE, clock)
        self._changed = threading.Condition()
        self._running: list[Turn] = []
        self._typical = 0.05  # seconds a frame takes, a running average
        self._claims: dict[Hashable, _Claim] = {}
        self._seen: OrderedDict[Client, None] = OrderedDict()  # whose last frame was a picture
        self._penalties: dict[str, float] = {}  # addresses without claims, and until when
        self._shares = Shares()
        self._arrivals = 0
        self._returned = -math.inf  # when somebody had a turn who had had one before

    def stuck(self) -> bool:
        """Tell whether an analysis takes longer than any should."""
        with self._changed:
            return len(self._counted(self._clock())) < len(self._running)

    @contextmanager
    def enter_at_once(
        self, client: Client = NOBODY, patience: float = 0.0, first_patience: float = 0.0
    ) -> Iterator[Turn]:
        """Hold a slot, or refuse: an old camera frame is worth nothing, so it hardly waits.

        Args:
            client: who asks.
            patience: wait for a slot that is expected within so many seconds. Whoever is sent away
                instead comes back later than that, and the slot stands empty meanwhile.
            first_patience: seconds that a visitor who was not seen before waits, one per address.

        Raises:
            BusyError: if no slot is free soon, others come first, or the address sends too much.
        """
        with self._changed:
            if wait := self._rate.wait(client.address):
                raise BusyError(wait=wait)
            if client in self._seen:
                self._take_kept_turn(client, patience)
            else:
                self._take_first_turn(Client(client.address), first_patience)
            turn = self._begin(client)
        try:
            yield turn
        finally:
            with self._changed:
                if client in self._seen:
                    self._returned = self._clock()
                    del self._seen[client]
                if turn.decoded and client.visitor:
                    self._seen[client] = None
                    while len(self._seen) > REMEMBERED:
                        self._seen.popitem(last=False)
                if turn.decoded:
                    self._typical += 0.2 * (self._clock() - turn.began - self._typical)
                self._end(turn)

    @contextmanager
    def enter(self, client: Client = NOBODY, timeout: float = 20.0) -> Iterator[Turn]:
        """Hold a slot, waiting for it up to ``timeout`` seconds.

        Raises:
            BusyError: if too many wait already, many of them from this address, or the time is
                over.
        """
        with self._changed:
            claim = self._claim(client)
            waiting = [other.client for other in self._claims.values() if _waits(other)]
            own = sum(other.address == client.address for other in waiting)
            if not self._has_turn(claim):
                if len(waiting) >= self._room or own >= max(1, self._room // 2):
                    raise BusyError
                if not self._wait(claim, timeout):
                    raise BusyError
            turn = self._begin(client)
        try:
            yield turn
        finally:
            with self._changed:
                frames = (self._clock() - turn.began) / self._typical
                self._shares.charge(client.address, frames, at_once=own + 1)
                self._end(turn)

    def _take_kept_turn(self, client: Client, patience: float) -> None:
        claim = self._claims.pop(client, None) or self._claim(client)
        claim.until = claim.kept_out = math.inf
        if self._has_turn(claim):
            return
        wait = self._expected_wait(self._ahead(claim))
        if wait > patience or not self._wait(claim, 2 * patience):
            now = self._clock()
            if self._may_claim(client.address, now):
                claim.until = now + wait + CLAIM_LASTS
                self._claims[client] = claim
            raise BusyError(wait=wait)

    def _take_first_turn(self, anybody: Client, patience: float) -> None:
        claim = self._claim(anybody)
        claim.first = True
        claim.last = self._newcomers.wait(anybody.address) > 0
        if self._has_turn(claim):
            return
        wait = self._expected_wait(self._ahead(claim))
        waiting = [other.client for other in self._claims.values() if other.first]
        full = anybody in waiting or len(waiting) >= self._room
        if full or not self._wait(claim, patience):
            raise BusyError(wait=wait)

    def _wait(self, claim: _Claim, seconds: float) -> bool:
        """Wait among those whose turn comes; say whether it came within so many seconds."""
        self._claims[id(claim)] = claim
        deadline = self._clock() + seconds
        try:
            while not self._has_turn(claim):
                left = deadline - self._clock()
                if left <= 0:
                    return False
                # Not longer: a claim of somebody who went away ends without a notification.
                self._changed.wait(min(CLAIM_LASTS / 4, left))
            return True
        finally:
            del self._claims[id(claim)]

    def _claim(self, client: Client) -> _Claim:
        self._arrivals += 1
        return _Claim(client, self._arrivals)

    def _may_claim(self, address: str, now: float) -> bool:
        self._penalties = {name: until for name, until in self._penalties.items() if until > now}
        own = sum(
            claim.client.address == address and not _waits(claim) for claim in self._claims.values()
        )
        return own < CLAIMS_PER_ADDRESS and not {address, _EVERYBODY} & self._penalties.keys()

    def _has_turn(self, claim: _Claim) -> bool:
        """Tell whether a slot is free that nobody before this claim takes."""
        now = self._clock()
        greedy = self._shares.is_ahead(claim.client.address)
        if (claim.last or greedy) and now - self._returned < BETWEEN_FRAMES:
            return False
        ahead = self._ahead(claim)
        free = self._slots - len(self._counted(now))
        if ahead < free:
            return True
        if free > 0:
            mine = self._order(claim)
            for other in self._claims.values():
                if self._order(other) < mine:
                    other.kept_out = min(other.kept_out, now)
        return False

    def _ahead(self, claim: _Claim) -> int:
        """Count the others whose turn comes first."""
        now = self._clock()
        for key in [key for key, other in self._claims.items() if other.until < now]:
            self._lapse(self._claims.pop(key), now)
        mine = self._order(claim)
        return sum(self._order(other) < mine for other in self._claims.values())

    def _lapse(self, claim: _Claim, now: float) -> None:
        lost = claim.until - claim.kept_out
        if lost <= 0:
            return
        self._seen.pop(claim.client, None)
        for name, times in ((claim.client.address, _OWN_PENALTY), (_EVERYBODY, _COMMON_PENALTY)):
            self._penalties[name] = max(self._penalties.get(name, now), now) + times * lost

    def _order(self, claim: _Claim) -> tuple[bool, float, int, int, int]:
        return claim.last, *self._shares.order(claim.client), claim.arrived

    def _counted(self, now: float) -> list[Turn]:
        return [turn for turn in self._running if now - turn.began < SLOT_LASTS]

    def _expected_wait(self, ahead: int) -> float:
        """Estimate the seconds until a slot is free for somebody with ``ahead`` before them."""
        now = self._clock()
        began = min((turn.began for turn in self._counted(now)), default=now - self._typical)
        first = began + self._typical - now
        return min(max(first, 0.0) + ahead * self._typical / self._slots, LONGEST_WAIT)

    def _begin(self, client: Client) -> Turn:
        first = () if client in self._seen else (Client(client.address),)
        self._shares.begin(client, *first)
        turn = Turn(client, self._clock())
        self._running.append(turn)
        return turn

    def _end(self, turn: Turn) -> None:
        self._running.remove(turn)
        if self._clock() - turn.began > SLOT_LASTS:
            _log.warning("an analysis took %.0f s", self._clock() - turn.began)
        self._changed.notify_all()


def _waits(claim: _Claim) -> bool:
    return claim.until == math.inf
