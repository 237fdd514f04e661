"""Refusals before Gradio: a status, one sentence, and when it is worth to come again."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MAX_BODY = 12 * 1024 * 1024
"""Largest accepted request body in bytes: an 8 MB picture in base64, and what surrounds it."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SENTENCES = {
    400: "The request is not understood; reload the page.",
    403: "Another site sent this request; open the page itself.",
    404: "There is nothing here.",
    413: f"The request is larger than {MAX_BODY // 1024**2} MB; send a smaller picture.",
    429: "Too many requests; wait a second and try again.",
    500: "Something went wrong on the server; try again.",
    503: "The server holds too many uploads at the moment; try again in a few seconds.",
}
_AGAIN = {429: 1.0, 503: 5.0}


class RefusedError(Exception):
    """Ends a request with a status and a sentence.

    Attributes:
        status: of the answer.
        detail: the sentence, or what gradio_client wants in its place.
        wait: seconds after which to come again, at least; 0 where that helps nobody.
    """

    def __init__(self, status: int, sentence: str = "", wait: float = 0.0) -> None:
        super().__init__(sentence or _SENTENCES[status])
        self.status = status
        self.detail: object = str(self)
        self.wait = max(wait, _AGAIN.get(status, 0.0))


async def answer(send: Send, error: RefusedError) -> None:
    """Send a refusal; the connection ends, since what is left of the body is not read."""
    body = json.dumps({"detail": error.detail, "error": str(error)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if error.wait:
        headers.append((b"retry-after", str(math.ceil(error.wait)).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
