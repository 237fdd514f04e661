"""Two plain addresses for whoever watches over the server: is it alive, can it answer."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import anyio
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emotion.ui.api import answers
from emotion.ui.uploads import refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from emotion.ui.gate import Gate
    from emotion.ui.serving import Serves

TESTED_FOR = 5.0
"""Seconds for which the result of a self-test holds, however often somebody asks."""

_log = logging.getLogger(__name__)


class Probes:
    """Answers ``GET /live`` and ``GET /ready``."""

    def __init__(self, serving: Serves, gate: Gate) -> None:
        """Watch over a network and the gate before it."""
        self._serving = serving
        self._gate = gate
        self._lock = threading.Lock()
        self._tested, self._answers = -TESTED_FOR, False

    def routes(self) -> list[Route]:
        """Return both, for the server."""
        return [Route("/live", self._live), Route("/ready", self._ready)]

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _ready(self, _request: Request) -> Response:
        if self._gate.stuck():
            return refusal(503, "An analysis hangs; restart the server.")
        if not await anyio.to_thread.run_sync(self._test):
            return refusal(503, "The network gives no numbers; restart the server.")
        return JSONResponse({"status": "ready"})

    def _test(self) -> bool:
        with self._lock:
            if time.monotonic() - self._tested >= TESTED_FOR:
                try:
                    self._answers = answers(self._serving.analyzer)
                except Exception:
                    _log.exception("the self-test failed")
                    self._answers = False
                self._tested = time.monotonic()
            return self._answers
