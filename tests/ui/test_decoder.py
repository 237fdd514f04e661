from __future__ import annotations

import io
import os
import re
import signal
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion.errors import ImageError
from emotion.images import FORMATS, decode_image
from emotion.ui.clients import Client
from emotion.ui.decoder import Decoder


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def own() -> Decoder:
    """A process that a test may harm."""
    started = Decoder(deadline=1.0)
    yield started
    started.close()


def slow_picture() -> bytes:
    """A progressive JPEG whose last scan is there thousands of times: minutes of work."""
    data = encoded(Image.new("L", (6000, 6000), "grey"), "JPEG", progressive=True, quality=5)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 3000 + data[-2:]


def memory(pid: int, key: str = "VmRSS") -> float:
    """Megabytes that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.findall(rf"{key}:\s+(\d+) kB", status)[0]) / 1024


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"HEIF"}))  # which Pillow cannot write
def test_it_decodes_as_everybody_does(decoder, astronaut, kind):
    content = encoded(Image.fromarray(astronaut), kind)
    assert np.array_equal(decoder.decode(content), decode_image(content))


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_what_is_no_picture_gets_the_same_sentence_as_elsewhere(decoder, content):
    with pytest.raises(ImageError) as expected:
        decode_image(content)
    with pytest.raises(ImageError, match=re.escape(str(expected.value))):
        decoder.decode(content)


def test_a_picture_that_takes_long_is_given_up_and_the_next_one_is_decoded(own, astronaut):
    before = own.pid
    with pytest.raises(ImageError, match="too long"):
        own.decode(slow_picture())
    own._deadline = 60.0
    assert own.decode(encoded(Image.fromarray(astronaut), "PNG")).shape == (512, 512, 3)
    assert not Path(f"/proc/{before}").exists()


@pytest.mark.parametrize("harm", [signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV])
def test_whatever_happens_to_the_process_the_next_picture_is_decoded(own, astronaut, harm):
    content = encoded(Image.fromarray(astronaut), "PNG")
    own._deadline = 60.0
    own.decode(content)
    own._deadline = 1.0
    os.kill(own.pid, harm)
    if harm == signal.SIGSTOP:
        with pytest.raises(ImageError, match="too long"):
            own.decode(content)
    else:
        own._process.wait()
    own._deadline = 60.0
    assert own.decode(content).shape == (512, 512, 3)


def test_a_hostile_picture_keeps_nobody_of_another_address_waiting_for_long(own, astronaut):
    content = encoded(Image.fromarray(astronaut), "PNG")
    own._deadline = 60.0
    own.decode(content, Client("10.0.0.1"))
    slow = slow_picture()
    own._deadline = 1.0

    def hostile() -> None:
        with pytest.raises(ImageError):
            own.decode(slow, Client("10.0.0.2"))

    many = [threading.Thread(target=hostile) for _ in range(2)]
    for thread in many:
        thread.start()
    while not own._turns._claims:
        time.sleep(0.01)
    own._deadline = 60.0
    order: list[str] = []
    own.decode(content, Client("10.0.0.3"))
    order.append("honest")
    for thread in many:
        thread.join()
    assert order == ["honest"]


BOMBS = {
    "a WebP of 34 bytes": b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f"
    + struct.pack("<I", 6200 | 6200 << 14)
    + b"\0" * 9,
    "a PNG of 40 megapixels": encoded(Image.new("1", (8000, 5000)), "PNG"),
    "a GIF of 40 megapixels": encoded(Image.new("P", (8000, 5000)), "GIF"),
    "a TIFF of 40 megapixels": encoded(
        Image.new("L", (8000, 5000)), "TIFF", compression="tiff_lzw"
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_decoding_takes_its_memory_elsewhere_and_gives_it_back(decoder, kind):
    before = memory(os.getpid())
    with suppress(ImageError):
        decoder.decode(BOMBS[kind])
    assert memory(os.getpid()) - before < 40
    if Path(f"/proc/{decoder.pid}").exists():
        assert memory(decoder.pid) < 60


def test_the_process_sees_no_secret_of_the_server(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    started = Decoder()
    try:
        started.decode(encoded(Image.new("L", (64, 64)), "PNG"))
        assert b"hf_secret" not in Path(f"/proc/{started.pid}/environ").read_bytes()
    finally:
        started.close()


def test_nothing_stays_behind(astronaut):
    started = Decoder()
    pid = started.pid
    started.close()
    assert not Path(f"/proc/{pid}").exists()
