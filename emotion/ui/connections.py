"""Connections: how many there may be, and how long one may take over each step."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from emotion.ui.clients import address_of

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

MAX_CONNECTIONS = 1000
"""Most connections; where more come, the address that holds most of them loses some."""

MAX_HEADERS = 32 * 1024
"""Most bytes of a request's first line and headers."""

HEADERS_WITHIN = 10.0
"""Seconds that a connection may be open, or idle after an answer, without a complete header."""

GRACE = 10.0
SLOWEST_BODY = 4 * 1024
"""After these seconds a body must have come with so many bytes a second on average."""

READ_WITHIN = 30.0
"""Seconds that an answer may wait for a client that does not read."""


class BoundedConnection(H11Protocol):
    """One connection of uvicorn that does not wait for its client for ever."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.address = ""
        self._waiting_since = self._body_since = self.loop.time()
        self._unread_since: float | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection; where there are too many, one of them ends."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.address = address_of(self.client[0] if self.client else "")
        most = getattr(self.server_state, "most_connections", MAX_CONNECTIONS)
        if len(self.connections) > most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Note when a body began and how much of it has come."""
        if self.is_idle():
            self._body_since, self._received = self.loop.time(), 0
        self._received += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note since when the client does not read."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Forget it again."""
        self._unread_since = None
        super().resume_writing()

    def is_idle(self) -> bool:
        """Tell whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def end_if_late(self, now: float) -> None:
        """End the connection if its client takes longer over something than it may."""
        if self._is_late(now):
            self.transport.abort()

    def _is_late(self, now: float) -> bool:
        if self._unread_since is not None:
            return now - self._unread_since > READ_WITHIN
        if self.is_idle():
            return now - self._waiting_since > HEADERS_WITHIN
        took = now - self._body_since
        return (
            self.cycle.more_body
            and not self.flow.read_paused
            and took > GRACE
            and self._received < took * SLOWEST_BODY
        )

    def _make_room(self) -> None:
        """End one connection of the address that has most: an idle one, or the newest."""
        ours = [other for other in self.connections if isinstance(other, BoundedConnection)]
        held = Counter(other.address for other in ours)
        greedy, _ = max(held.items(), key=lambda item: (item[1], item[0] == self.address))
        own = [other for other in ours if other.address == greedy]
        idle = [other for other in own if other is not self and other.is_idle()]
        if idle:
            victim = min(idle, key=lambda other: other._waiting_since)
        elif greedy == self.address:
            victim = self
        else:
            victim = max(own, key=lambda other: other._waiting_since)
        self.connections.discard(victim)  # it goes with the loop's next step
        victim.transport.abort()
