"""What a server does with clients that are slow, silent or many."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from emotion.ui import connections, server
from emotion.ui.server import Server, in_url, listen, start_server
from tests.support.visit import free_port


class Application:
    """Answers at once, or with more than a client reads; stands for Gradio behind the front."""

    def __init__(self) -> None:
        self.hold = threading.Event()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        count = 400 if scope["path"] == "/much" else 0
        for _ in range(count):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        if scope["path"] == "/slow":
            import asyncio

            while not self.hold.is_set():
                await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def running(monkeypatch):
    """A small server with our limits, without a front."""
    monkeypatch.setattr(server, "Front", lambda app: app)
    application = Application()
    _, port, url, started = start_server(application, "127.0.0.1", free_port())
    yield started, url, port, application
    application.hold.set()
    started.close()


def opened(port: int, *, host: str = "127.0.0.1", say: bytes = b"") -> socket.socket:
    connection = socket.create_connection((host, port), timeout=10)
    if say:
        connection.sendall(say)
    return connection


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def closes(connection: socket.socket, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if is_closed(connection):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n",
    ],
    ids=["nothing", "a letter", "half a header", "a second half"],
)
def test_a_connection_without_a_request_ends(running, monkeypatch, said):
    _, _, port, _ = running
    monkeypatch.setattr(connections, "HEADERS_WITHIN", 0.5)
    with opened(port, say=said) as connection:
        if b"\r\n\r\n" in said:
            time.sleep(0.3)
            connection.recv(10_000)
        assert closes(connection)


def test_letters_that_trickle_in_gain_no_time(running, monkeypatch):
    _, _, port, _ = running
    monkeypatch.setattr(connections, "HEADERS_WITHIN", 1.0)
    with opened(port, say=b"GET / HTTP/1.1\r\nx: ") as connection:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not is_closed(connection):
            try:
                connection.send(b"y")
            except OSError:
                break
            time.sleep(0.1)
        assert time.monotonic() < deadline


def test_a_body_that_trickles_in_ends(running, monkeypatch):
    _, _, port, _ = running
    monkeypatch.setattr(connections, "GRACE", 0.5)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    with opened(port, say=head + b"x" * 10) as connection:
        assert closes(connection)


def test_a_body_that_comes_as_fast_as_a_bad_line_allows_is_read(running, monkeypatch):
    _, _, port, _ = running
    monkeypatch.setattr(connections, "GRACE", 0.1)
    monkeypatch.setattr(connections, "SLOWEST_BODY", 500)  # a busy machine may take a minute
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n"
    with opened(port, say=head + b"x" * 20_000) as connection:
        for _ in range(10):
            connection.sendall(b"x" * 2000)
            time.sleep(0.1)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_read_is_left(running, monkeypatch):
    started, _, port, _ = running
    monkeypatch.setattr(connections, "READ_WITHIN", 0.5)
    with opened(port, say=b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"):
        deadline = time.monotonic() + 20
        while started.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.1)
            if not started.server_state.connections:
                break
        assert not started.server_state.connections


def test_headers_have_a_largest_size(running):
    _, _, port, _ = running
    with opened(port) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n")
        except OSError:
            return
        assert not connection.recv(100).startswith(b"HTTP/1.1 200")


def test_many_silent_connections_keep_nobody_out(running):
    started, url, port, _ = running
    started.server_state.most_connections = 20
    with ExitStack() as stack:
        silent = [stack.enter_context(opened(port)) for _ in range(60)]
        answer = httpx.get(url, timeout=10)
        assert answer.text == "done"
        assert len(started.server_state.connections) <= 20
        assert sum(is_closed(connection) for connection in silent) >= 40


def test_busy_connections_of_one_address_keep_no_other_address_out(running):
    started, url, port, application = running
    started.server_state.most_connections = 20
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(
                opened(port, host="127.0.0.1", say=b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            )
        transport = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=transport, timeout=10) as other:
            assert other.get(url).text == "done"
        application.hold.set()


def test_what_is_under_way_is_answered_before_the_end(running):
    started, url, _, application = running
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(httpx.get(f"{url}slow", timeout=30).text)
    )
    thread.start()
    while not started.server_state.tasks:
        time.sleep(0.01)
    threading.Timer(0.5, application.hold.set).start()
    started.close()
    thread.join(timeout=10)
    assert answers == ["done"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_the_end_comes_though_a_client_waits_for_ever(running, monkeypatch):
    started, _, port, _ = running
    with opened(port, say=b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"):
        while not started.server_state.tasks:
            time.sleep(0.01)
        began = time.monotonic()
        started.close()
        assert not started._thread.is_alive()
        assert time.monotonic() - began < server.STOPS_WITHIN + 3


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "localhost"])
def test_every_kind_of_host_is_served(host, monkeypatch):
    if ":" in host and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(server, "Front", lambda app: app)
    _, _, url, started = start_server(Application(), host, free_port())
    try:
        assert httpx.get(url).text == "done"
    finally:
        started.close()


def test_both_families_are_served_at_the_address_of_all():
    with listen("::", free_port()) as listening:
        port = listening.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


def test_an_address_in_a_url_has_brackets_where_it_needs_them():
    assert in_url("::1") == "[::1]"
    assert in_url("10.0.0.1") == "10.0.0.1"
    assert in_url("::") == "localhost"


def test_a_port_that_is_taken_is_an_error():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", other.getsockname()[1])


def test_the_page_runs_on_our_server(served, page):
    assert isinstance(page.server, Server)


def test_memory_that_is_free_goes_back_while_the_server_runs(monkeypatch):
    given_back = threading.Event()
    monkeypatch.setattr(server, "GIVES_BACK_EVERY", 0.1)
    monkeypatch.setattr("emotion.memory.give_back_free_pages", given_back.set)
    monkeypatch.setattr(server, "Front", lambda app: app)
    *_, started = start_server(Application(), "127.0.0.1", free_port())
    assert given_back.wait(20)
    started.close()
