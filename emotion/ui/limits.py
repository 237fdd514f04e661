"""What stands between requests and Gradio: a limit on bodies, and an answer to malformed calls."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MAX_BODY = 12 * 1024 * 1024
"""Largest accepted request body in bytes: an 8 MB picture in base64, and what surrounds it."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """Raised inside the application's own ``receive`` to make it stop reading."""


class RequestGate:
    """ASGI middleware: refuses large bodies with 413 and malformed component calls with 400.

    The size is taken from ``Content-Length`` and, because a chunked body has none, counted while
    the body arrives. Gradio checks neither for JSON, and answers a component call that it does not
    understand with an exception.
    """

    def __init__(self, app: App, limit: int = MAX_BODY) -> None:
        """Guard ``app``; bodies above ``limit`` bytes are refused."""
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._declared(scope) > self.limit:
            await self._refuse(send, 413)
            return
        read, started, too_large = 0, False, False

        async def counted_receive() -> Message:
            nonlocal read, too_large
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.limit:
                too_large = True
                raise _TooLargeError
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            if too_large and not started:
                return  # the application's own answer to the broken body; ours follows
            started = True
            await send(message)

        try:
            await self.app(scope, counted_receive, watched_send)
        except _TooLargeError:
            pass
        except Exception:
            if started or "/component_server" not in scope["path"]:
                raise
            _log.warning("a malformed component call was refused")
            await self._refuse(send, 400)
            return
        if too_large and not started:
            await self._refuse(send, 413)

    def _declared(self, scope: Message) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return int(value) if value.isdigit() and len(value) < 16 else self.limit + 1
        return 0

    async def _refuse(self, send: Send, status: int) -> None:
        sentence = (
            f"The request is larger than {self.limit // 1024**2} MB; send a smaller picture."
            if status == 413
            else "The request is not understood; reload the page."
        )
        body = json.dumps({"detail": sentence}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
