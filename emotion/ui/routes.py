"""Which routes of the server exist; Gradio has some sixty more that nothing here uses."""

from __future__ import annotations

import re
from typing import NamedTuple

API = "/gradio_api"
UPLOAD = f"{API}/upload"
CALL = f"{API}/call"
JOIN = f"{API}/queue/join"
COMPONENT = f"{API}/component_server"
DEVICE = "/device"
FRAME = "/frame"
CLASSIFY, BATCH, OPENAPI = "/classify", "/classify_batch", "/openapi.json"
MCP = "/mcp"
EXAMPLES = "/examples"
VIDEO = "/video"
PREVIEW = "/preview.png"

WHOLE = (CLASSIFY, BATCH, MCP)
"""Paths of our own handlers, which read their bodies themselves."""

MAX_NAME = 64
"""Longest name of a session or a call; Gradio keeps both."""

NAME = rf"[A-Za-z0-9_.-]{{1,{MAX_NAME}}}"
_CLIP = f"{VIDEO}/{NAME}"
_ENDPOINT = "(classify|explain|model_info|health)"
_READ = ("GET", "HEAD")


class Route(NamedTuple):
    """Methods and paths that are answered, and why."""

    methods: tuple[str, ...]
    path: str
    reason: str


ALLOWED = (
    Route(_READ, "/", "the page"),
    Route(_READ, "/config/?", "the page; gradio_client"),
    Route(_READ, "/(assets|static)/.+", "scripts, styles, fonts"),
    Route(_READ, rf"({API})?/theme\.css", "styles"),
    Route(_READ, f"{EXAMPLES}/{NAME}", "the page's clip and drawn faces"),
    Route(_READ, "/(favicon.ico|manifest.json|robots.txt)", "what browsers ask for by themselves"),
    Route(("GET",), rf"{DEVICE}/(manifest\.json|[0-9a-f]{{16}}/{NAME})", "live on the device"),
    Route(_READ, "/(live|ready)", "whoever watches over the server"),
    Route(_READ, rf"{API}/(info/?|openapi\.json)", "the documentation of the HTTP interface"),
    Route(_READ, rf"{API}/(app_id|login_check/?|startup-events)", "the page; the start"),
    Route(("GET",), rf"{API}/heartbeat/{NAME}", "the page; gradio_client"),
    Route(("POST",), rf"{JOIN}/?", "the page; gradio_client"),
    Route(("GET",), f"{API}/queue/data", "the page; gradio_client"),
    Route(("POST",), f"{API}/cancel", "the page; gradio_client"),
    Route(("POST",), FRAME, "the Live tab: a camera frame in, numbers out"),
    Route(("POST",), f"{COMPONENT}/?", "the functions of the other tabs"),
    Route(("POST",), f"{CALL}/(v2/)?{_ENDPOINT}/?", "the HTTP interface"),
    Route(("GET",), f"{CALL}/(v2/)?{_ENDPOINT}/{NAME}", "its answers"),
    Route(("POST",), UPLOAD, "its pictures"),
    Route(_READ, f"{API}/file=.+", "its pictures, once"),
    Route(("POST",), f"({CLASSIFY}|{BATCH})", "pictures in, JSON out"),
    Route(_READ, re.escape(OPENAPI), "the description of these"),
    Route(("POST",), VIDEO, "the Video tab: a clip begins"),
    Route(("POST",), f"{_CLIP}(/end)?", "its pieces; its end"),
    Route(("GET",), rf"{_CLIP}(/copy\.mp4)?", "how far it is; the copy with boxes"),
    Route(_READ, re.escape(PREVIEW), "the picture of shared links"),
    Route(("POST",), MCP, "programs that speak MCP, with --mcp"),
)

_COMPILED = [(route.methods, re.compile(route.path)) for route in ALLOWED]


def is_whole(path: str) -> bool:
    """Tell whether a handler of our own reads the body."""
    return path in WHOLE or path == VIDEO or path.startswith(f"{VIDEO}/")


def is_allowed(method: str, path: str) -> bool:
    """Tell whether a request is for something that exists."""
    return any(
        method in methods and pattern.fullmatch(path) is not None for methods, pattern in _COMPILED
    )
