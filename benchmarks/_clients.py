"""Visitors as programs, each from an address of its own: a page, a program, an attacker.

All of ``127.0.0.0/8`` is this machine on Linux, so that many addresses ask one server.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import av
import httpx
import numpy as np
from PIL import Image

from emotion.ui.wire import data_url, encoded
from tests.support.visit import CAMERA_SIZE, App, one_face

_API = "/gradio_api"
_TIMEOUT = 60.0
_PIECE = 4 * 1024 * 1024


class Client:
    """Sends requests from one address, until it is told to stop."""

    def __init__(self, app: App, address: str) -> None:
        """Connect to an app from an address as ``127.0.0.2``."""
        transport = httpx.HTTPTransport(local_address=address, retries=0)
        self.http = httpx.Client(base_url=app.url, transport=transport, timeout=_TIMEOUT)
        config = self.http.get("/config").json()
        parts = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        self._photo = parts["photo"]

    def frame(self, jpeg: bytes, visitor: str) -> dict[str, Any]:
        """Send a camera frame; return the answer."""
        said = {"visitor": visitor, "time": time.monotonic(), "explain": -1}
        return _answer(self.http.post("/frame", params=said, content=jpeg))

    def photo(self, picture: str) -> dict[str, Any]:
        """Send a photo as the Photo tab does; return the answer."""
        data = {"image": picture}
        part = {"component_id": self._photo, "fn_name": "analyze_photo", "session_hash": "x"}
        return _answer(self.http.post(f"{_API}/component_server/", json={**part, "data": data}))

    def classify(self, content: bytes) -> bool:
        """Upload a picture and call ``/classify``; say whether faces came."""
        paths = self.http.post(f"{_API}/upload", files={"files": ("a.jpg", content)})
        if paths.status_code != 200:
            return False
        called = self.http.post(f"{_API}/call/classify", json={"data": paths.json()})
        if called.status_code != 200:
            return False
        return (
            "event: complete"
            in self.http.get(f"{_API}/call/classify/{called.json()['event_id']}").text
        )

    def begin_clip(self, size: int, visitor: str) -> str | None:
        """Begin to send a clip as the Video tab does; return its name, or None where refused."""
        begun = self.http.post("/video", json={"size": size, "visitor": visitor})
        return str(begun.json()["clip"]) if begun.status_code == 200 else None

    def send_clip(self, name: str, content: bytes, most: int | None = None) -> None:
        """Send a clip's pieces, or those within its first ``most`` bytes, as often as it takes."""
        at, end = 0, len(content) if most is None else most
        while at < end:
            piece = content[at : min(at + _PIECE, end)]
            answer = self.http.post(f"/video/{name}", params={"at": at}, content=piece)
            if answer.status_code == 404:
                return
            at = answer.json()["received"] if answer.status_code == 200 else at

    def clip_state(self, name: str) -> str | None:
        """Ask how far a clip is, without the numbers; None where it is gone."""
        answer = self.http.get(f"/video/{name}", params={"after": "999999999-999999999"})
        return answer.json().get("state")

    def end_clip(self, name: str) -> None:
        """Say that nobody wants a clip any more."""
        self.http.post(f"/video/{name}/end")


def _answer(answer: httpx.Response) -> dict[str, Any]:
    return answer.json() if answer.status_code == 200 else {"refused": answer.status_code}


class Watch:
    """Live visitors: each sends the next frame as soon as the last one was answered."""

    def __init__(self, app: App, address: str, visitor: str, jpeg: bytes | None = None) -> None:
        """Begin to watch; the frame is that of ``camera_frame``, if no other is given."""
        self.answers = 0
        self._jpeg = camera_frame() if jpeg is None else jpeg
        self._client = Client(app, address)
        self._visitor = visitor
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join(_TIMEOUT)

    def _loop(self) -> None:
        while not self._over.is_set():
            try:
                answer = self._client.frame(self._jpeg, self._visitor)
            except httpx.HTTPError:
                self._over.wait(0.5)  # as the page does
                continue
            if "faces" in answer:
                self.answers += 1
            else:
                self._over.wait(answer.get("wait", 500) / 1000)


def camera_frame(size: tuple[int, int] = CAMERA_SIZE) -> bytes:
    """Return a frame with one face, of width and height in px, as the page sends it."""
    return encoded(np.asarray(one_face().resize(size)), "image/jpeg")


def portrait() -> bytes:
    """Return the same picture as a file."""
    buffer = io.BytesIO()
    one_face().save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def photo_of(width: int, height: int) -> str:
    """Return the same picture in another size, as the Photo tab sends it."""
    return data_url(np.asarray(one_face().resize((width, height), Image.Resampling.BILINEAR)))


def clip_of(seconds: float) -> bytes:
    """Return the same picture as a video, 30 frames a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height = CAMERA_SIZE
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.asarray(one_face()), "rgb24")
        for number in range(round(30 * seconds)):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@contextmanager
def in_background(threads: int, step: Callable[[int], None]) -> Iterator[None]:
    """Repeat a step in threads, whatever becomes of it, while the block runs.

    Args:
        threads: how many.
        step: is given the number of the call.
    """
    over, numbers, lock = threading.Event(), iter(range(1 << 60)), threading.Lock()

    def loop() -> None:
        while not over.is_set():
            with lock:
                number = next(numbers)
            with suppress(httpx.HTTPError, OSError, ValueError, KeyError):
                step(number)

    started = [threading.Thread(target=loop, daemon=True) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in started:
            thread.join(_TIMEOUT)


def open_silently(app: App, address: str) -> socket.socket:
    """Open a connection that says nothing."""
    return socket.create_connection(("127.0.0.1", app.port), 5, (address, 0))
