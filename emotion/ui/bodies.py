"""Bodies of requests: how large each may be, and how much of them is held at a time."""

from __future__ import annotations

from collections import Counter

from emotion.ui.refusals import MAX_BODY, Message, Receive, RefusedError

BODIES_PER_ADDRESS, BODIES_ALTOGETHER = 64 * 1024 * 1024, 256 * 1024 * 1024
"""Most bytes of bodies that are held at a time."""


class Body:
    """A request's body: counted while it arrives, against what is allowed and what is held."""

    def __init__(self, receive: Receive, held: Counter[str], address: str) -> None:
        self._receive = receive
        self._held = held
        self._address = address
        self._count = 0
        self.refused = 0

    async def receive(self) -> Message:
        """Receive the next part; one too many looks like a client that went away."""
        message = await self._receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self._count += size
            self._held[self._address] += size
            if self._count > MAX_BODY:
                self.refused = 413
            elif self._held[self._address] > BODIES_PER_ADDRESS:
                self.refused = 429
            elif self._held.total() > BODIES_ALTOGETHER:
                self.refused = 503
        self.check()
        return message

    async def read(self) -> bytes:
        """Return the whole body."""
        parts = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400)
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    def check(self) -> None:
        """Refuse what came."""
        if self.refused:
            raise RefusedError(self.refused)

    def release(self) -> None:
        """Hold nothing any more."""
        self._held[self._address] -= self._count
        if self._held[self._address] <= 0:
            del self._held[self._address]
