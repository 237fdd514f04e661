"""How often one address may ask, and how refusing more than that is kept cheap."""

from __future__ import annotations

import asyncio
from collections import Counter

from emotion.ui import routes
from emotion.ui.clients import RateLimit
from emotion.ui.refusals import RefusedError

CALLS_PER_SECOND, CALLS_AT_ONCE = 5.0, 30.0
"""How many calls and uploads one address may send; two cores answer several times as many."""

REQUESTS_PER_SECOND, REQUESTS_AT_ONCE = 150.0, 300.0
"""How many requests with a body one address may send, camera frames among them."""

REFUSED_AFTER, REFUSED_PER_SECOND = 1.0, 8.0
"""Seconds that a refusal of too many calls takes, so that asking at once again gains nothing, and
how many of them one address gets in a second: where more wait, each takes longer."""


class Admission:
    """Lets requests with a body pass, or refuses them before anything of the body is read."""

    def __init__(self) -> None:
        """Know no address yet."""
        self._calls = RateLimit(CALLS_PER_SECOND, CALLS_AT_ONCE)
        self._uploads = RateLimit(CALLS_PER_SECOND, CALLS_AT_ONCE)
        self._requests = RateLimit(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE)
        self._refusing: Counter[str] = Counter()  # requests that wait to be refused, by address

    async def admit(self, path: str, address: str) -> None:
        """Let a request pass.

        Raises:
            RefusedError: if its address sends too many; after a while, see ``slow_down``.
        """
        if wait := self._requests.wait(address):
            raise RefusedError(429, wait=wait)
        if path == routes.UPLOAD or path.startswith(f"{routes.VIDEO}/"):
            rate = self._uploads
        elif path.startswith((routes.CALL, routes.JOIN)) or routes.is_whole(path):
            rate = self._calls
        else:
            return
        if rate.wait(address):
            waited = await self.slow_down(address)
            raise RefusedError(429, wait=waited)

    async def slow_down(self, address: str) -> float:
        """Wait as long as a refusal takes, and return the seconds; no body is read meanwhile."""
        self._refusing[address] += 1
        seconds = max(REFUSED_AFTER, self._refusing[address] / REFUSED_PER_SECOND)
        try:
            await asyncio.sleep(seconds)
            return seconds
        finally:
            self._refusing[address] -= 1
            if self._refusing[address] <= 0:
                del self._refusing[address]
