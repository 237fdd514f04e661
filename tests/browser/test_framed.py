"""The page in the frame of another site, as people embed it: it works there, on one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from emotion.ui.front import ANCESTORS
from tests.browser.conftest import DEVICE
from tests.support.visit import served

pytestmark = pytest.mark.browser


@contextmanager
def foreign_site(framed: str) -> Iterator[str]:
    """Serve a page on another site that shows ours in a frame and lets it use the camera."""
    markup = f'<!doctype html><iframe src="{framed}" allow="camera" width=1280 height=900></iframe>'

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(markup.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        # localhost and 127.0.0.1 are two sites to a browser.
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("place", ["server", "device"])
def test_another_site_may_show_the_page_in_a_frame(one_face, tmp_path, place):
    environment = {**os.environ, ANCESTORS: "http://localhost:*"}
    with served(tmp_path / "app.log", environment) as app, foreign_site(app.url) as site:
        context = one_face.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
        context.add_init_script(
            f"localStorage.setItem('emotion-where', '{{\"choice\": \"{place}\"}}')"
        )
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.goto(site)
        framed = page.frame_locator("iframe")
        framed.locator(".em-live").wait_for()
        framed.locator(".loading").wait_for(state="detached")
        framed.locator("[data-do=start]").click()
        framed.locator(".em-targets button").first.wait_for(timeout=300_000)
        frame = page.frames[1]
        # Memory that threads share is only for pages whose every frame is alone with itself.
        assert frame.evaluate("window.crossOriginIsolated") is False
        if place == DEVICE["choice"]:
            assert frame.evaluate("window.emotionPage.device.threads") == 1
        assert complaints == []
        context.close()
