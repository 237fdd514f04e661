"""The routes of the Video tab: a clip in pieces in, numbers and a copy with boxes out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from emotion.ui.clients import client_of
from emotion.ui.clips import COPY, ClipError
from emotion.ui.routes import MAX_NAME, NAME, VIDEO
from emotion.ui.uploads import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from emotion.ui.clips import Clips

_HOW = 'Begin with {"size": bytes, "visitor": any name}, then send pieces.'


class ClipRoutes:
    """Answers what the Video tab asks."""

    def __init__(self, clips: Clips) -> None:
        """Answer with these clips."""
        self._clips = clips

    def routes(self) -> list[Route]:
        """Return them, for the server."""
        clip = f"{VIDEO}/{{clip}}"
        return [
            Route(VIDEO, _told(self._begin), methods=["POST"]),
            Route(f"{clip}/end", _told(self._end), methods=["POST"]),
            Route(f"{clip}/{COPY}", _told(self._copy), methods=["GET"]),
            Route(clip, _told(self._piece), methods=["POST"]),
            Route(clip, _told(self._report), methods=["GET"]),
        ]

    async def _begin(self, request: Request) -> Response:
        try:
            said = json.loads(await request.body())
            size, visitor = said["size"], said["visitor"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return refusal(422, _HOW)
        if type(size) is not int or not isinstance(visitor, str):
            return refusal(422, _HOW)
        if re.fullmatch(NAME, visitor) is None:
            return refusal(422, f"visitor is a name of at most {MAX_NAME} letters and digits.")
        client = client_of(request, visitor)
        return JSONResponse(
            {"clip": await anyio.to_thread.run_sync(self._clips.begin, client, size)}
        )

    async def _piece(self, request: Request) -> Response:
        at = request.query_params.get("at", "")
        if not at.isdecimal() or len(at) > 12:
            return refusal(422, "at is the number of bytes before this piece.")
        name, piece = request.path_params["clip"], await request.body()
        received = await anyio.to_thread.run_sync(self._clips.add, name, int(at), piece)
        return JSONResponse({"received": received})

    async def _report(self, request: Request) -> Response:
        after = re.fullmatch(r"(\d{1,9})-(\d{1,9})", request.query_params.get("after", "0-0"))
        if after is None:
            return refusal(422, "after is two numbers with a hyphen.")
        had = int(after[1]), int(after[2])
        return JSONResponse(self._clips.report(request.path_params["clip"], had))

    async def _copy(self, request: Request) -> Response:
        path = self._clips.copy(request.path_params["clip"])
        return FileResponse(path, media_type="video/mp4", filename="emotion.mp4")

    async def _end(self, request: Request) -> Response:
        await anyio.to_thread.run_sync(self._clips.end, request.path_params["clip"])
        return JSONResponse({})


def _told(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answer with a sentence where a clip is not taken."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except ClipError as error:
            answer = {"error": str(error), "detail": str(error), "key": error.key}
            return JSONResponse(answer, error.status)
        except ClientDisconnect:
            return refusal(400, "The upload broke off; send it again.")

    return answered
