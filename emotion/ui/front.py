"""What stands between every request and Gradio."""

from __future__ import annotations

import gzip
import logging
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
from starlette.responses import JSONResponse

from emotion.errors import EmotionError
from emotion.ui import one_session, routes
from emotion.ui.admission import Admission
from emotion.ui.bodies import Body
from emotion.ui.calls import Calls
from emotion.ui.clients import address_of
from emotion.ui.early import with_early_view
from emotion.ui.frames import frame_answers
from emotion.ui.markup import page_name
from emotion.ui.preview import described
from emotion.ui.refusals import MAX_BODY, Message, Receive, RefusedError, Send, answer
from emotion.ui.uploads import FULL

ANCESTORS = "EMOTION_FRAME_ANCESTORS"
"""Environment variable: which sites may show the page in a frame, as in a CSP; default 'self'."""

ISOLATED = [
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
]
"""Alone with itself the page may have memory that threads share, for the network in it."""

App = Callable[[Message, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class Front:
    """ASGI application that refuses what it should and hands the rest to Gradio's."""

    def __init__(self, app: Any) -> None:
        """Stand before ``app``, the server application of a ``demo.Page``."""
        self._app: App = app
        one_session.share(app)
        page = app.get_blocks()
        self._serving = page.services.serving
        self._frames = frame_answers(page.services.serving, page.services.gate)
        self._uploads = page.services.uploads
        self._calls = Calls(page, self._uploads)
        self._admission = Admission()
        self._held: Counter[str] = Counter()  # bytes of bodies under way, by address
        self._headers = security_headers(os.environ.get(ANCESTORS, "").strip() or "'self'")
        self._headers.append((b"x-page", page_name().encode()))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if body.refused and not started:
                return  # the application's own answer to a broken body; ours follows
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message.get("headers", [])}
                ours = [*self._headers, *(ISOLATED if isolates(scope) else [])]
                extra = [pair for pair in ours if pair[0] not in present]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        address = address_of(scope["client"][0] if scope.get("client") else "")
        body = Body(receive, self._held, address)
        try:
            await self._handle(scope, body, sent, address)
        except RefusedError as error:
            body.refused = 0
            if not started:
                await answer(sent, error)
        except Exception:
            _log.exception("a request for %s failed", scope["path"][:200])
            if not started:
                await answer(sent, RefusedError(500))
        finally:
            body.release()

    async def _handle(self, scope: Message, body: Body, send: Send, address: str) -> None:
        method, path = scope["method"], _path(scope)
        headers = dict(scope["headers"])
        if not routes.is_allowed(method, path):
            raise RefusedError(404)
        said = _query(scope)
        if method not in ("GET", "HEAD"):
            if not _is_own(headers):
                raise RefusedError(403)
            if _declared(headers) > MAX_BODY:
                raise RefusedError(413)
            await self._admission.admit(path, address)
        if path == routes.UPLOAD:
            if not self._uploads.has_room(address, _declared(headers) - _FORM):
                waited = await self._admission.slow_down(address)
                raise RefusedError(429, FULL, waited)
            await self._app(scope, body.receive, send)
            body.check()
        elif path == routes.FRAME:
            await self._frame(scope, said, body, send, address)
        elif routes.is_whole(path):
            await self._app(scope, body.receive, send)
            body.check()
        elif method == "POST":
            await self._call(scope, path, body, send, address)
        elif path == "/" and method == "GET":
            await self._page(scope, body, send)
        elif path.startswith(f"{routes.API}/file="):
            await self._file(scope, path, body, send)
        else:
            event = re.fullmatch(rf"{routes.CALL}/.*/([^/]+)", path)
            if event and not self._calls.is_known(event[1]):
                raise RefusedError(404, "There is no such call, or its answer was fetched.")
            await self._app(scope, body.receive, send)

    async def _frame(
        self, scope: Message, said: dict[str, str], body: Body, send: Send, address: str
    ) -> None:
        """Answer a camera frame here: Gradio's way would cost as much as finding the face."""
        jpeg = await body.read()
        found = await anyio.to_thread.run_sync(self._frames, jpeg, said, address)
        await JSONResponse(found)(scope, body.receive, send)

    async def _call(self, scope: Message, path: str, body: Body, send: Send, address: str) -> None:
        self._calls.forget_unfetched()
        try:
            content = self._calls.rewrite(path, await body.read(), address)
        except EmotionError as error:
            refused = RefusedError(422, str(error))
            if path.startswith(routes.JOIN):
                refused.detail = [
                    {"__type__": "validate", "is_valid": False, "message": str(error)}
                ]
            raise refused from None
        except BlockingIOError:
            raise RefusedError(429) from None
        fixed = [pair for pair in scope["headers"] if pair[0] not in _ABOUT_THE_BODY]
        fixed += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await body.receive()
            replayed = True
            return {"type": "http.request", "body": content, "more_body": False}

        await self._app({**scope, "headers": fixed}, replay, send)

    async def _page(self, scope: Message, body: Body, send: Send) -> None:
        """Hand the page out with its first view, and what it says of itself where it is shared."""
        start: Message = {}
        parts: list[bytes] = []

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, body.receive, kept)
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        page = b"".join(parts)
        # What is encoded, or no page, stays as it is.
        if start["status"] == 200 and b"content-encoding" not in dict(headers):
            page = with_early_view(described(page), self._serving.analyzer)
            headers.append((b"vary", b"accept-encoding"))
            if b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b""):
                page = _zipped(page)  # styles, scripts and texts stand in it: a quarter is left
                headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(page)).encode()))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    async def _file(self, scope: Message, path: str, body: Body, send: Send) -> None:
        """Hand a file out, and delete it: nobody fetches it twice."""
        status, whole = 0, False

        async def watched(message: Message) -> None:
            nonlocal status, whole
            status = message.get("status", status)
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body")

        await self._app(scope, body.receive, watched)
        if whole and status == 200 and scope["method"] == "GET":
            self._uploads.forget(path.partition("/file=")[2])


_FORM = 2048  # bytes of a form around its file
_ABOUT_THE_BODY = (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding")


@lru_cache(maxsize=4)
def _zipped(page: bytes) -> bytes:
    return gzip.compress(page, 6)


def security_headers(ancestors: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of every answer; Gradio's scripts need inline code and ``eval``.

    Args:
        ancestors: the sites that may show the page in a frame, as CSP's frame-ancestors has them.
    """
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": re.sub(r"[^\x21-\x7e]+", " ", ancestors).replace(";", " "),
    }
    headers = {
        "content-security-policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def isolates(scope: Message) -> bool:
    """Tell whether ``ISOLATED`` goes with the answer to a request.

    Not on Spaces, where the platform sends what ``space.yaml`` says, and not over plain HTTP from
    another machine, where browsers ignore such headers and complain.
    """
    if "SPACE_ID" in os.environ:
        return False
    host = dict(scope.get("headers", [])).get(b"host", b"").decode("latin-1").lower()
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    local = name in ("localhost", "[::1]") or re.fullmatch(r"127(\.\d+){3}", name) is not None
    return local or name.endswith(".localhost") or scope.get("scheme") == "https"


def _path(scope: Message) -> str:
    """Return the path without the prefix that a proxy may have left on it."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path


def _query(scope: Message) -> dict[str, str]:
    pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
    if any(len(value) > routes.MAX_NAME for _, value in pairs):
        raise RefusedError(422, f"A name has at most {routes.MAX_NAME} characters.")
    return dict(pairs)


def _is_own(headers: dict[bytes, bytes]) -> bool:
    """Tell whether a request comes from the page itself or from a program, not from another site.

    Browsers say the first in Sec-Fetch-Site where the page is served securely, and elsewhere in
    Origin, which then has to name the host that was asked. Programs send neither.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    if origin is None:
        return True
    return urlsplit(origin.decode("latin-1")).netloc == headers.get(b"host", b"").decode("latin-1")


def _declared(headers: dict[bytes, bytes]) -> int:
    value = headers.get(b"content-length", b"0")
    return int(value) if value.isdigit() and len(value) < 16 else MAX_BODY + 1
