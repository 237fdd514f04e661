"""Every route that Gradio's server has: allowed, and listed here, or not there at all."""

from __future__ import annotations

import re

import httpx
import pytest
from starlette.routing import Route

from emotion.ui.routes import is_allowed

ANSWERED = {
    "POST /classify",
    "POST /classify_batch",
    "POST /mcp",
    "POST /video",
    "POST /video/{clip}",
    "POST /video/{clip}/end",
    "GET /video/{clip}",
    "GET /video/{clip}/copy.mp4",
    "GET /",
    "GET /assets/{path:path}",
    "GET /config",
    "GET /config/",
    "GET /examples/{name}",
    "GET /device/manifest.json",
    "GET /device/{digest}/{name}",
    "GET /favicon.ico",
    "GET /gradio_api/app_id",
    "GET /gradio_api/call/{api_name}/{event_id}",
    "GET /gradio_api/call/v2/{api_name}/{event_id}",
    "GET /gradio_api/file={path_or_url:path}",
    "GET /gradio_api/heartbeat/{session_hash}",
    "GET /gradio_api/info",
    "GET /gradio_api/info/",
    "GET /gradio_api/login_check",
    "GET /gradio_api/login_check/",
    "GET /gradio_api/openapi.json",
    "GET /gradio_api/queue/data",
    "GET /gradio_api/startup-events",
    "GET /gradio_api/theme.css",
    "GET /live",
    "GET /manifest.json",
    "GET /openapi.json",
    "GET /preview.png",
    "GET /ready",
    "GET /robots.txt",
    "GET /static/{path:path}",
    "GET /theme.css",
    "HEAD /",
    "HEAD /examples/{name}",
    "HEAD /gradio_api/file={path_or_url:path}",
    "HEAD /live",
    "HEAD /openapi.json",
    "HEAD /preview.png",
    "HEAD /ready",
    "POST /gradio_api/call/{api_name}",
    "POST /gradio_api/call/{api_name}/",
    "POST /gradio_api/call/v2/{api_name}",
    "POST /gradio_api/call/v2/{api_name}/",
    "POST /gradio_api/cancel",
    "POST /gradio_api/component_server",
    "POST /gradio_api/component_server/",
    "POST /gradio_api/queue/join",
    "POST /gradio_api/upload",
}
"""What this server answers, of all that the release of Gradio offers; a review of each change."""


def examples(page) -> set[tuple[str, str, str]]:
    """Every route of the server: method, template, and a path that fits it."""
    found = set()
    for route in _flat(page.server_app.routes):
        path = re.sub(r"\{api_name\}", "classify", route.path)
        path = re.sub(r"\{digest\}", "0123456789abcdef", path)
        path = re.sub(r"\{[^}]*\}", "x", path)
        found |= {(method, route.path, path) for method in route.methods or {"GET"}}
    return found


def _flat(routes) -> list[Route]:
    flat = []
    for route in routes:
        if hasattr(route, "methods"):
            flat.append(route)
        else:
            inner = getattr(route, "routes", None) or getattr(
                getattr(route, "original_router", None), "routes", []
            )
            flat += _flat(inner or [])
    return flat


def test_the_routes_that_answer_are_those_of_the_list(page, served):
    allowed = {
        f"{method} {template}"
        for method, template, path in examples(page)
        if is_allowed(method, path)
    }
    assert allowed == ANSWERED


def test_every_other_route_of_gradio_is_not_there(page, served):
    closed = {
        (method, path)
        for method, _, path in examples(page)
        if not is_allowed(method, path) and method != "HEAD"
    }
    assert len(closed) > 30
    with httpx.Client(base_url=served.url) as client:
        for method, path in sorted(closed):
            answer = client.request(method, path)
            assert answer.status_code == 404, f"{method} {path}"
            assert answer.json() == {
                "detail": "There is nothing here.",
                "error": "There is nothing here.",
            }


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/call/lambda",
        "/gradio_api/call/classify/../lambda",
        "//gradio_api/run/predict",
        "/gradio_api/heartbeat/" + "x" * 65,
        "/gradio_api/call/classify/a/b",
        "/gradio_api/upload/",
        "/assets/",
        "/GRADIO_API/upload",
        "/video/" + "x" * 65,
        "/video/a/b",
        "/video/a/copy.mp4/b",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
def test_what_looks_like_an_allowed_route_is_none(method, path):
    assert not is_allowed(method, path)
