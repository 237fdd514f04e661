"""The server under Gradio: uvicorn with limits, on sockets of our own.

``gradio.Blocks.launch`` hands uvicorn no settings. It calls ``gradio.http_server.start_server``,
and ``launch.start`` puts the one of this module in its place meanwhile. Everything that stands
between the network and Gradio is decided here: connections in ``connections``, requests in
``front``. ``launch`` itself stays, because ZeroGPU and Spaces hook into it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import uvicorn

from emotion import memory
from emotion.ui.connections import MAX_CONNECTIONS, MAX_HEADERS, BoundedConnection
from emotion.ui.front import Front

STOPS_WITHIN = 5
"""Seconds in which requests are still answered once the server is told to stop."""

GIVES_BACK_EVERY = 30
"""Seconds after which memory that is free goes back to the system, which takes about 20 ms."""

_KEEP_ALIVE = 5  # seconds
_BACKLOG = 128
_STARTS_WITHIN = 20.0
_SPARE_FILES = 200  # what the process has open besides connections

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Runs in a thread of its own; has what Gradio asks of its own server."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        super().__init__(config)
        self.running_app = config.app
        self.server_state.most_connections = _most_connections()  # type: ignore[attr-defined]
        self._listening = listening
        self._thread = threading.Thread(target=self._serve_thread, daemon=True, name="server")

    def run_in_thread(self) -> None:
        """Start, and return once requests are answered.

        Raises:
            OSError: if the server does not start.
        """
        self._thread.start()
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise OSError("the server did not start")
            time.sleep(0.005)

    def close(self) -> None:
        """Accept nothing more, answer what is under way for ``STOPS_WITHIN`` seconds, end."""
        self.should_exit = True
        self._thread.join(timeout=STOPS_WITHIN + 3)

    async def on_tick(self, counter: int) -> bool:
        """Once a second, end the connections whose clients take too long; rarely, tidy up."""
        if counter % int(10 * GIVES_BACK_EVERY) == 0:  # ten ticks a second
            asyncio.get_running_loop().run_in_executor(None, memory.give_back_free_pages)
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedConnection):
                    connection.end_if_late(now)
        return await super().on_tick(counter)

    def _serve_thread(self) -> None:
        with suppress(SystemExit):
            self.run(sockets=[self._listening])


def start_server(
    app: Any,
    server_name: str | None = None,
    server_port: int | None = None,
    ssl_keyfile: str | None = None,
    ssl_certfile: str | None = None,
    ssl_keyfile_password: str | None = None,
) -> tuple[str, int, str, Server]:
    """Serve Gradio's application; arguments and answer are those of Gradio's own function.

    Raises:
        OSError: if the port cannot be had.
    """
    host = (server_name or "127.0.0.1").removeprefix("[").removesuffix("]")
    port = server_port or 0
    listening = listen(host, port)
    config = uvicorn.Config(
        app=Front(app),
        http=BoundedConnection,
        ws="none",
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=MAX_HEADERS,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=STOPS_WITHIN,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
    )
    server = Server(config, listening)
    server.run_in_thread()
    return host, port, f"http://{in_url(host)}:{port}/", server


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; ``::`` takes IPv4 as well."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def in_url(host: str) -> str:
    """Return where a browser on this machine finds a server that listens at a host."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _most_connections() -> int:
    """Return how many connections this process may have; each needs a file descriptor."""
    try:
        import resource
    except ImportError:
        return MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _BACKLOG + _SPARE_FILES
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        with suppress(ValueError, OSError):
            raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return max(16, min(MAX_CONNECTIONS, soft - _BACKLOG - _SPARE_FILES))
