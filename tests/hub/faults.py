"""Ways in which a Hub misbehaves on the wire, and a log of what was asked of it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from uvicorn.protocols.http.h11_impl import H11Protocol

_CONNECTIONS: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(H11Protocol):
    """HTTP whose connections can be found by their client, so that a fault can break one."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        _CONNECTIONS[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _CONNECTIONS.pop(self.client, None)
        super().connection_lost(exc)


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    authorization: str | None
    range: str | None


@dataclass
class Fault:
    """What to do instead of answering properly, to requests whose ``METHOD /path`` matches.

    Attributes:
        pattern: regular expression.
        times: how many requests it meets; None for all.
        status: answer with this status, ``code`` (X-Error-Code) and ``headers``.
        seconds: answer this much later.
        after: let this many bytes of the body through, then do what ``end`` says: ``truncate``
            ends the body as if it were complete, ``close`` closes the connection in the middle,
            ``reset`` breaks it.
    """

    pattern: str
    times: int | None = 1
    status: int | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0
    after: int | None = None
    end: Literal["truncate", "close", "reset"] = "close"

    def meets(self, asked: Asked) -> bool:
        return self.times != 0 and bool(re.search(self.pattern, f"{asked.method} {asked.path}"))


class Gate:
    """ASGI middleware: logs each request, then applies the first fault that meets it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.requests: list[Asked] = []
        self.faults: list[Fault] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Branches may contain slashes, sent as %2F; decoded, they could not be told from the path.
        scope["path"] = unquote(re.sub("%2[fF]", "%252F", scope["raw_path"].decode()))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(
            scope["method"], scope["path"], headers.get("authorization"), headers.get("range")
        )
        self.requests.append(asked)
        fault = next((fault for fault in self.faults if fault.meets(asked)), None)
        if fault is None:
            await self.app(scope, receive, send)
            return
        if fault.times is not None:
            fault.times -= 1
        await asyncio.sleep(fault.seconds)
        if fault.status is not None:
            await _refuse(fault, fault.status, send)
        elif fault.after is not None:
            await self.app(scope, receive, _Scissors(fault, fault.after, scope["client"], send))
        else:
            await self.app(scope, receive, send)


async def _refuse(fault: Fault, status: int, send: Any) -> None:
    body = json.dumps({"error": f"injected {status}"}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    headers |= {name.lower(): value for name, value in fault.headers.items()}
    if fault.code is not None:
        headers["x-error-code"] = fault.code
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


class _Scissors:
    """Passes an answer on until its body is long enough."""

    def __init__(self, fault: Fault, after: int, client: tuple[str, int], send: Any) -> None:
        self.fault, self.left, self.client, self.send = fault, after, tuple(client), send
        self.done = False

    async def __call__(self, message: Any) -> None:
        if self.done:
            return
        if message["type"] == "http.response.start":
            if self.fault.end == "truncate":
                length = (b"content-length", str(self.left).encode())
                kept = [pair for pair in message["headers"] if pair[0].lower() != length[0]]
                message = {**message, "headers": [*kept, length]}
            await self.send(message)
            return
        body = message.get("body", b"")[: self.left]
        self.left -= len(body)
        self.done = self.left == 0
        ends_whole = self.done and self.fault.end == "truncate"
        await self.send({**message, "body": body, "more_body": not ends_whole})
        if self.done and self.fault.end != "truncate":
            await asyncio.sleep(0.05)  # let what was sent arrive; a reset would throw it away
            _break(_CONNECTIONS[self.client], reset=self.fault.end == "reset")


def _break(transport: asyncio.Transport, *, reset: bool) -> None:
    if reset:  # closing a socket that may not linger sends RST instead of FIN
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
