"""The Model Context Protocol: a tool that takes a picture and answers in words and numbers."""

from __future__ import annotations

import asyncio
import base64
import binascii
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, TextContent

import emotion
from emotion.errors import EmotionError, ImageError
from emotion.ui.analyses import Analysis, analyse
from emotion.ui.clients import NOBODY, Client, address_of
from emotion.ui.routes import MCP
from emotion.ui.uploads import MAX_FILE
from emotion.ui.wire import read_data_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from emotion.ui.demo import Services

_MAX_REQUEST = MAX_FILE * 4 // 3 + (1 << 16)  # a picture in base64, and what surrounds it

_asker: ContextVar[Client] = ContextVar("_asker", default=NOBODY)


class McpEndpoint:
    """ASGI application at ``/mcp``: streamable HTTP without sessions, an answer per request."""

    def __init__(self, services: Services) -> None:
        """Answer with what a page shares between its parts."""
        self._app = make_server(services).streamable_http_app(
            streamable_http_path=MCP,
            json_response=True,
            stateless_http=True,
            max_request_body_size=_MAX_REQUEST,
            # The server's front has looked at Host and Origin already.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Handle one request; the first one starts what all of them need."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
        await self._ready.wait()
        _asker.set(Client(address_of(scope["client"][0] if scope.get("client") else "")))
        await self._app({**scope, "path": MCP, "root_path": ""}, receive, send)

    async def _run(self) -> None:
        """Hold the application's lifespan open; the end of the loop cancels it."""
        async with self._app.router.lifespan_context(self._app):
            self._ready.set()
            await asyncio.Event().wait()


def make_server(services: Services) -> MCPServer[Any]:
    """Return the server with its one tool."""
    server: MCPServer[Any] = MCPServer(
        "sep-emotion",
        title="SEP Emotion Classifier",
        version=emotion.__version__,
        instructions=(
            "Tells six facial expressions of the faces in a picture, and why. An expression is not "
            "a feeling; do not use it to decide about people."
        ),
    )

    @server.tool()
    async def classify_picture(picture: str, detect: bool = True) -> CallToolResult:
        """Tell the facial expression of every face in a picture, in words and numbers.

        Args:
            picture: the content of a JPEG, PNG, WebP, HEIC, AVIF, BMP, GIF or TIFF file of at most
                8 MB, in base64 or as a data URL.
            detect: false takes the whole picture as one face.
        """
        client = _asker.get()
        try:
            content = _content(picture)
            analysis = await anyio.to_thread.run_sync(
                lambda: analyse(services, content, client, detect=detect, explain=True)
            )
        except EmotionError as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
        return CallToolResult(
            content=[TextContent(text=in_words(analysis))],
            structured_content={"faces": analysis.to_json()},
        )

    return server


def in_words(analysis: Analysis) -> str:
    """Say in a sentence or two per face what people are told, where it is, and why."""
    count = len(analysis.faces)
    if not count:
        return "There is no face in the picture."
    said = ["There is 1 face." if count == 1 else f"There are {count} faces, the largest first."]
    for number, (face, test) in enumerate(zip(analysis.faces, analysis.tests, strict=True), 1):
        told = f"{face.answer} ({face.reason})" if face.reason else face.answer
        first, second = (f"{name} {_percent(face, name)}" for name in face.candidates)
        place = ""
        if face.rectangle is not None:
            x, y, width, height = (round(value) for value in face.rectangle)
            place = f" ({width}x{height} px, {x} from the left, {y} from the top)"
        said.append(f"Face {number}{place}: {told}; {first}, then {second}.")
        if test is not None:
            said.append(str(test.finding()))
    return " ".join(said)


def _percent(face: Any, name: str) -> str:
    return f"{100 * face.to_dict()['probabilities'][name]:.0f} %"


def _content(picture: str) -> bytes:
    if picture.startswith("data:"):
        return read_data_url(picture, limit=MAX_FILE)
    try:
        content = base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(
            "The picture is expected in base64 or as a data URL; paths and addresses are not read."
        ) from None
    if len(content) > MAX_FILE:
        raise ImageError(
            f"The picture is larger than {MAX_FILE // 1024**2} MB; send a smaller one."
        )
    return content
