"""The page behind a proxy that serves it under a path, as docs/proxy.md describes it."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.visit import REPOSITORY, App, free_port, served

pytestmark = pytest.mark.browser
PREFIX = "/emotion"


def proxy_handler(port: int) -> type[BaseHTTPRequestHandler]:
    """Forward what lies under the prefix, without it, and say who was asked, as nginx is told."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                # Browsers ask for an icon at the top, which is another page's.
                self.send_response(204 if self.path == "/favicon.ico" else 404)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("connection", "accept-encoding")
            }
            headers["x-forwarded-for"] = self.client_address[0]
            url = f"http://127.0.0.1:{port}{self.path.removeprefix(PREFIX)}"
            asked = httpx.stream(self.command, url, headers=headers, content=body, timeout=60)
            with asked as answer:
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("connection", "close")
                self.end_headers()
                for part in answer.iter_raw():
                    self.wfile.write(part)
                    self.wfile.flush()
            self.close_connection = True

        do_GET = do_HEAD = do_POST = forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def stand_in(app: App) -> Iterator[int]:
    """Run a proxy of our own where nginx is not installed; give its port."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), proxy_handler(app.port))
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield proxy.server_port
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


@contextmanager
def nginx(app: App, program: str, folder: Path) -> Iterator[int]:
    """Run nginx with the lines of docs/proxy.md; give its port."""
    documented = re.findall(
        r"^# nginx.*?(?=^```)", (REPOSITORY / "docs" / "proxy.md").read_text("utf-8"), re.M | re.S
    )
    lines, port = documented[0].replace("127.0.0.1:7860", f"127.0.0.1:{app.port}"), free_port()
    own = "\n".join(
        f"{kind}_temp_path {folder / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    icon = "location = /favicon.ico { return 204; }"  # at the top it is another page's
    (folder / "nginx.conf").write_text(
        f"daemon off; user {getpass.getuser()};\n"
        f"pid {folder / 'pid'}; error_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{ access_log off;\n{own}\n"
        f"server {{ listen 127.0.0.1:{port};\n{icon}\n{lines}}} }}\n"
    )
    process = subprocess.Popen(
        [program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    )
    try:
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, str]]:
    """An app that was told its path, and the address of the proxy in front of it."""
    folder = tmp_path_factory.mktemp("proxy")
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    with ExitStack() as stack:
        environment = {**os.environ, "GRADIO_ROOT_PATH": PREFIX}
        app = stack.enter_context(served(folder / "app.log", environment))
        proxy = nginx(app, program, folder) if program else stand_in(app)
        yield app, f"http://127.0.0.1:{stack.enter_context(proxy)}{PREFIX}/"


def test_the_page_works_under_the_path(behind, launch, shared_visit):
    _, url = behind
    with launch() as browser:
        page = shared_visit(browser, url=url).page
        page.get_by_role("tab", name="Photo").click()
        page.locator("#photo [data-example=astronaut]").click()
        page.wait_for_selector("#photo .em-face", timeout=60_000)


def test_a_program_uses_the_api_under_the_path(behind, tmp_path, astronaut):
    from gradio_client import Client, handle_file
    from PIL import Image

    _, url = behind
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    client = Client(url, verbose=False)
    (face,) = client.predict(handle_file(tmp_path / "a.png"), api_name="/classify")
    assert face["label"] == "happiness"


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null"])
def test_another_site_is_refused_behind_the_proxy_too(behind, origin):
    _, url = behind
    answer = httpx.post(f"{url}gradio_api/cancel", json={}, headers={"origin": origin}, timeout=60)
    assert answer.status_code == 403
