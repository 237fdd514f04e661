from __future__ import annotations

import anyio
import httpx
import pytest

from emotion.ui.limits import RequestGate


async def echo(scope, receive, send) -> None:
    """An application that reads its whole body, as Gradio does, and answers with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


async def broken(scope, receive, send) -> None:
    raise KeyError("component 999")


def post(app, path: str = "/", **body) -> httpx.Response:
    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, **body)

    return anyio.run(request)


async def chunks(count: int):
    for _ in range(count):
        yield b"x" * 100


def test_a_small_body_passes():
    assert post(RequestGate(echo, limit=1000), content=b"x" * 1000).text == "1000"


def test_a_large_body_is_refused_by_its_declared_length():
    answer = post(RequestGate(echo, limit=1000), content=b"x" * 1001)
    assert answer.status_code == 413
    assert "larger than" in answer.json()["detail"]


def test_a_length_that_is_no_number_is_refused():
    answer = post(RequestGate(echo), content=b"x", headers={"content-length": "9" * 5000})
    assert answer.status_code == 413


def test_a_chunked_body_passes_up_to_the_limit():
    assert post(RequestGate(echo, limit=1000), content=chunks(10)).text == "1000"


def test_a_chunked_body_is_counted_and_refused():
    assert post(RequestGate(echo, limit=1000), content=chunks(11)).status_code == 413


def test_a_component_call_that_makes_gradio_fail_is_a_bad_request():
    answer = post(RequestGate(broken), "/gradio_api/component_server/", content=b"{}")
    assert answer.status_code == 400
    assert "not understood" in answer.json()["detail"]


def test_other_failures_are_left_to_the_server_and_its_log():
    with pytest.raises(KeyError):
        post(RequestGate(broken), "/gradio_api/queue/join", content=b"{}")
