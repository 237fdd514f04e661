"""The server's front, before a real page and before small applications."""

from __future__ import annotations

import io
import itertools
import json
import logging
import re
import time
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from emotion.ui import admission, bodies, calls
from emotion.ui import front as front_module
from emotion.ui.clients import RateLimit
from emotion.ui.front import ANCESTORS, Front, isolates, security_headers
from emotion.ui.routes import MAX_NAME
from emotion.ui.wire import data_url

GREY = data_url(np.full((64, 64, 3), 128, np.uint8))


ADDRESSES = (f"127.1.{number // 250}.{number % 250 + 1}" for number in itertools.count())


@pytest.fixture
def http(served):
    # An address of its own for each test: on a quick machine all of them together call too often.
    transport = httpx.HTTPTransport(local_address=next(ADDRESSES))
    with httpx.Client(base_url=served.url, transport=transport, timeout=60) as client:
        yield client


def upload(http: httpx.Client, content: bytes | None = None, name: str = "a.jpg") -> str:
    if content is None:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), "grey").save(buffer, "JPEG")
        content = buffer.getvalue()
    answer = http.post("/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def call(http: httpx.Client, endpoint: str, body: object) -> tuple[int, object]:
    """Call an endpoint as with curl: status and sentence, or 200 and the answer."""
    posted = http.post(f"/gradio_api/call/{endpoint}", json=body)
    if posted.status_code != 200:
        return posted.status_code, posted.json()["error"]
    event = posted.json()["event_id"]
    name = endpoint.removeprefix("v2/")
    events = http.get(f"/gradio_api/call/{name}/{event}").text
    kind, data = re.findall(r"event: (complete|error)\ndata: (.*)", events)[-1]
    return (200 if kind == "complete" else 500), json.loads(data)


def is_sentence(text: object) -> bool:
    return isinstance(text, str) and text.endswith((".", "reload it.")) and len(text) > 20


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {},
        {"data": None},
        {"data": "photo.jpg"},
        {"data": {"image": "x"}},
        {"data": [None]},
        {"data": [1]},
        {"data": [[]]},
        {"data": [{}]},
        {"data": [{"path": None}]},
        {"data": [{"path": 3, "meta": {"_type": "gradio.FileData"}}]},
        {"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]},
        {"data": ["/etc/passwd"]},
        {"data": ["a" * 5000]},
        {"data": ["\u0000"]},
        {"data": ["http://127.0.0.1:1/x.jpg"]},
        {"data": [{"path": "https://example.com/x.jpg"}]},
        {"data": ["data:image/png;base64,!!!"]},
        {"data": ["data:image/png,x"]},
        {"data": [GREY, "yes"]},
        {"data": [GREY, 1]},
        {"data": [GREY, {}]},
        {"data": [GREY, True, True]},
        {"data": [GREY], "session_hash": "x" * 65},
        {"data": [GREY], "session_hash": "a\nb"},
        {"data": [GREY], "session_hash": 7},
        [],
        "x",
        7,
        None,
    ],
)
def test_a_malformed_call_gets_a_sentence_and_no_traceback(http, body, capfd, caplog):
    status, sentence = call(http, "classify", body)
    assert status == 422
    assert is_sentence(sentence)
    assert "Traceback" not in capfd.readouterr().err
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("label", ["joy", "", 3, [], {"x": 1}])
def test_every_argument_is_checked(http, label, capfd):
    status, sentence = call(http, "explain", {"data": [GREY, label]})
    assert status == 422
    assert "happiness" in str(sentence)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"data": [1e999]}'])
@pytest.mark.parametrize("path", ["call/classify", "call/v2/explain", "queue/join", "cancel"])
def test_a_body_that_is_none_gets_a_sentence(http, path, content, capfd):
    answer = http.post(f"/gradio_api/{path}", content=content)
    assert answer.status_code == 422
    assert is_sentence(answer.json()["error"])
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "picture",
    [
        lambda http: GREY,
        lambda http: {"url": GREY},
        upload,
        lambda http: {"path": upload(http)},
        lambda http: {"path": upload(http), "meta": {"_type": "gradio.FileData"}, "size": None},
    ],
    ids=["data URL", "data URL in an object", "path", "path in an object", "FileData"],
)
def test_optional_fields_may_be_left_out(http, picture):
    assert call(http, "classify", {"data": [picture(http)]})[0] == 200
    assert call(http, "v2/classify", {"image": picture(http)})[0] == 200


def test_a_named_argument_that_is_none_gets_a_sentence(http):
    status, sentence = call(http, "v2/classify", {"image": GREY, "detekt": True})
    assert status == 422
    assert "detekt" in str(sentence)


@pytest.mark.parametrize("path", ["call/classify/none", "queue/data?session_hash=" + "x" * 65])
def test_an_unknown_answer_gets_a_sentence(http, path, capfd):
    answer = http.get(f"/gradio_api/{path}")
    assert answer.status_code in (404, 422)
    assert is_sentence(answer.json()["error"])
    assert "Traceback" not in capfd.readouterr().err


def test_names_have_a_length(http, served):
    for body, path in [
        ({"data": [GREY], "session_hash": "x" * (MAX_NAME + 1)}, "call/classify"),
        ({"data": [], "session_hash": "x" * 10_000_000, "fn_index": 0}, "queue/join"),
        (
            {
                "data": {},
                "session_hash": "x" * 10_000_000,
                "fn_name": "analyze_photo",
                "component_id": served.components["photo"],
            },
            "component_server",
        ),
        ({"session_hash": "x" * 100, "fn_index": 0, "event_id": "x"}, "cancel"),
    ]:
        answer = http.post(f"/gradio_api/{path}", json=body)
        assert answer.status_code == 422
        assert str(MAX_NAME) in answer.json()["error"]


def test_sessions_that_never_return_leave_nothing(http, page, served, monkeypatch):
    monkeypatch.setattr(admission.RateLimit, "wait", lambda *_: 0.0)
    monkeypatch.setattr(calls, "UNFETCHED", 20)
    queue, state = page._queue, page.server_app.state_holder
    quick = next(index for index, fn in page.fns.items() if fn.api_name == "model_info")

    def held() -> int:
        return (
            len(queue.pending_event_ids_session)
            + len(queue.pending_messages_per_session)
            + len(queue.event_ids_to_events)
            + len(state.session_data)
        )

    for number in range(500):
        session = f"never-{number}"
        if number % 2:
            call = {"data": [], "fn_index": quick, "session_hash": session}
            assert http.post("/gradio_api/queue/join", json=call).status_code == 200
        else:
            part = {"component_id": served.components["photo"], "fn_name": "analyze_photo"}
            call = {**part, "data": {"image": session}, "session_hash": session}
            assert http.post("/gradio_api/component_server", json=call).status_code == 200
    deadline = time.monotonic() + 60
    while queue.event_ids_to_events and time.monotonic() < deadline:
        time.sleep(0.1)
    http.post("/gradio_api/cancel", json={"session_hash": "x", "event_id": "x", "fn_index": 0})
    assert held() <= 1 + 2 * 20 + 2  # one session for everybody


def test_what_a_program_uploads_is_gone_once_it_was_read(http, page, served, tmp_path):
    folder = page.services.uploads.folder

    def left() -> list[Path]:
        return [path for path in folder.rglob("*") if path.name != "lock"]

    assert call(http, "classify", {"data": [upload(http)]})[0] == 200
    assert left() == []
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "grey").save(path)
    client = Client(served.url, verbose=False, download_files=str(tmp_path / "answers"))
    answer, _ = client.predict(handle_file(path), api_name="/explain")
    assert Image.open(answer).size == (64, 64)
    deadline = time.monotonic() + 30
    while left() and time.monotonic() < deadline:  # it is deleted after the last byte was sent
        time.sleep(0.05)
    assert left() == []


def test_two_uploads_of_one_picture_are_two(http):
    first, second = upload(http), upload(http)
    assert first != second
    assert call(http, "classify", {"data": [first]})[0] == 200
    assert call(http, "classify", {"data": [second]})[0] == 200
    status, sentence = call(http, "classify", {"data": [first]})
    assert status == 422
    assert is_sentence(sentence)


def test_uploads_that_nobody_asks_for_have_an_end(http, page, monkeypatch):
    monkeypatch.setattr("emotion.ui.uploads.PER_ADDRESS", (3, 10_000))
    for name in ("a", "b", "c"):
        upload(http, b"x" * 100, name)
    answer = http.post("/gradio_api/upload", files={"files": ("d", b"x")})
    assert answer.status_code == 429
    assert is_sentence(answer.json()["error"])
    monkeypatch.setattr("emotion.ui.uploads.LIFETIME", -1)
    page.services.uploads.sweep()
    upload(http, b"x" * 9_000, "e")
    assert http.post("/gradio_api/upload", files={"files": ("f", b"x" * 2000)}).status_code == 429
    page.services.uploads.sweep()


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "multipart/form-data"}, b"x"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nbroken"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--\r\n"),
    ],
)
def test_an_upload_that_is_none_gets_a_sentence(http, headers, content, capfd):
    answer = http.post("/gradio_api/upload", content=content, headers=headers)
    assert answer.status_code == 400
    assert is_sentence(answer.json()["error"])
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "{own}"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "{own}"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "{own}.evil.example"}, 403),
    ],
)
def test_another_site_can_change_nothing(http, served, headers, status):
    own = served.url.rstrip("/")
    sent = {name: value.replace("{own}", own) for name, value in headers.items()}
    answer = http.post("/gradio_api/call/health", json={"data": []}, headers=sent)
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/", "/config", "/nothing", "/live", "/gradio_api/file=x"])
def test_every_answer_has_the_headers(http, path):
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "object-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "camera=(self)" in headers["permissions-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"


@pytest.mark.parametrize(
    ("scheme", "host", "isolated"),
    [
        ("http", b"localhost:7860", True),
        ("http", b"127.0.0.1", True),
        ("http", b"[::1]:7860", True),
        ("https", b"faces.example", True),
        ("http", b"faces.example:7860", False),
        ("http", b"192.168.0.7:7860", False),
        ("http", b"127.evil.example.org.localhost.example", False),
    ],
)
def test_the_page_is_isolated_where_browsers_take_it(monkeypatch, scheme, host, isolated):
    monkeypatch.delenv("SPACE_ID", raising=False)
    scope = {"scheme": scheme, "headers": [(b"host", host)]}
    assert isolates(scope) == isolated
    monkeypatch.setenv("SPACE_ID", "someone/page")  # whose platform sends it
    assert not isolates(scope)


def test_who_may_frame_the_page_is_configurable_and_cannot_break_out():
    policy = dict(security_headers("https://huggingface.co;\r\nx: y"))[b"content-security-policy"]
    assert b"frame-ancestors https://huggingface.co" in policy
    assert b"\r" not in policy
    assert policy.count(b";") == dict(security_headers("'self'"))[b"content-security-policy"].count(
        b";"
    )
    assert ANCESTORS.startswith("EMOTION_")


def test_live_and_ready_are_plain(http):
    assert http.get("/live").json() == {"status": "alive"}
    assert http.get("/ready").json() == {"status": "ready"}


def test_the_server_is_not_ready_while_an_analysis_hangs(http, page, monkeypatch):
    monkeypatch.setattr(page.services.gate, "stuck", lambda: True)
    answer = http.get("/ready")
    assert answer.status_code == 503
    assert is_sentence(answer.json()["error"])
    assert http.get("/live").status_code == 200


@pytest.mark.parametrize("broken", [lambda _: False, lambda _: 1 / 0])
def test_the_server_is_not_ready_where_the_network_gives_no_numbers(http, monkeypatch, broken):
    monkeypatch.setattr("emotion.ui.probes.answers", broken)
    monkeypatch.setattr("emotion.ui.probes.TESTED_FOR", 0.0)
    assert http.get("/ready").status_code == 503


class Stub:
    """An application behind a front: reads its body and answers with its length."""

    def __init__(self, page) -> None:
        self.page = page
        self.calls = 0

    def get_blocks(self):
        return self.page

    async def __call__(self, scope, receive, send) -> None:
        self.calls += 1
        length, more = 0, True
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(length).encode()})


def post(app, path: str, **body) -> httpx.Response:
    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, **body)

    return anyio.run(request)


async def chunks(count: int):
    for _ in range(count):
        yield b"x" * 100


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"content": b"x" * 1000}, 200),
        ({"content": b"x" * 1001}, 413),
        ({"content": b"x", "headers": {"content-length": "9" * 5000}}, 413),
        ({"content": b"x", "headers": {"content-length": "-1"}}, 413),
        ({"content": chunks(10)}, 200),
        ({"content": chunks(11)}, 413),
    ],
)
def test_a_body_has_a_largest_size(page, monkeypatch, body, status):
    for module in (front_module, bodies):
        monkeypatch.setattr(module, "MAX_BODY", 1000)
    assert post(Front(Stub(page)), "/gradio_api/upload", **body).status_code == status


def test_bodies_that_are_held_at_a_time_have_a_largest_size(page, monkeypatch):
    front = Front(Stub(page))
    front._held["another"] = bodies.BODIES_ALTOGETHER
    assert post(front, "/gradio_api/upload", content=b"x").status_code == 503
    assert front._held.total() == bodies.BODIES_ALTOGETHER


def test_calls_of_one_address_are_counted_and_those_of_another_pass(page, monkeypatch):
    monkeypatch.setattr(admission, "REFUSED_AFTER", 0.0)
    stub = Stub(page)
    front = Front(stub)
    # The clock stands: however slow the machine, no call is granted meanwhile.
    front._admission._calls = RateLimit(1.0, 30.0, clock=lambda: 0.0)
    answers = [post(front, "/gradio_api/call/health", json={}).status_code for _ in range(40)]
    assert answers == [200] * 30 + [429] * 10
    assert stub.calls == 30
    refused = post(front, "/gradio_api/call/health", content=b"{" * 1000)
    assert refused.status_code == 429  # and not 422: nobody read it
    assert int(refused.headers["retry-after"]) >= 1
    assert front._admission._calls.wait("10.0.0.9") == 0


def test_an_address_gets_so_many_refusals_a_second_however_many_ask(page, monkeypatch):
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds >= admission.REFUSED_AFTER:  # others sleep, too
            pauses.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr("emotion.ui.admission.asyncio.sleep", sleep)
    front = Front(Stub(page))

    async def ask() -> None:
        transport = httpx.ASGITransport(front, client=("10.0.0.8", 1))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(200):
                group.start_soon(lambda: client.post("/gradio_api/call/health", json={}))

    anyio.run(ask)
    assert len(pauses) > 100
    assert max(pauses) > 100 / admission.REFUSED_PER_SECOND
    assert not front._admission._refusing


def test_a_failure_of_the_application_is_a_sentence(page, caplog):
    class Broken(Stub):
        async def __call__(self, scope, receive, send) -> None:
            raise KeyError("component 999\nforged line")

    answer = post(Front(Broken(page)), "/gradio_api/call/health", json={})
    assert answer.status_code == 500
    assert is_sentence(answer.json()["error"])
