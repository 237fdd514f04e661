"""The real app in a process of its own, and a Chromium whose camera plays a clip we drew."""

from __future__ import annotations

import io
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from skimage import data

REPOSITORY = Path(__file__).resolve().parents[2]

CAMERA_SIZE = 640, 480
PORTRAIT_SIDE, PORTRAIT_LEFT, PORTRAIT_TOP = 400, 10, 40

_STARTS_WITHIN = 170  # seconds, on a busy machine


@dataclass(frozen=True)
class App:
    """A running app.

    Attributes:
        url: where its page is.
        port: of the url.
        pid: of its process.
        log: what it wrote to the terminal.
    """

    url: str
    port: int
    pid: int
    log: Path


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(
    log: Path, environment: Mapping[str, str] | None = None, *, checkout: Path = REPOSITORY
) -> Iterator[App]:
    """Run ``python app.py`` with the embedded weights.

    Args:
        log: file for what it writes.
        environment: of its process; by default ours.
        checkout: whose app.

    Raises:
        RuntimeError: if it does not start; what it wrote is in the message.
    """
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=checkout, stdout=output, stderr=output, env=environment
        )
    try:
        yield App(_wait_for_address(process, log), port, process.pid, log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://\S+", log.read_text("utf-8"))
        if found:
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"the app did not start:\n{log.read_text('utf-8')}")


def camera_flags(clip: Path) -> tuple[str, ...]:
    """Make Chromium's camera play a clip, and allow every page to use it."""
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )


def write_clip(path: Path, frame: Image.Image) -> Path:
    """Write a clip that shows one picture all the time; a .mjpeg file is JPEGs in a row."""
    buffer = io.BytesIO()
    frame.save(buffer, "JPEG", quality=92)
    path.write_bytes(buffer.getvalue() * 20)
    return path


def one_face() -> Image.Image:
    """Draw NASA's portrait of Eileen Collins (public domain) on the left of a camera's picture."""
    frame = Image.new("RGB", CAMERA_SIZE, (190, 186, 180))
    portrait = Image.fromarray(data.astronaut()).resize((PORTRAIT_SIDE, PORTRAIT_SIDE))
    frame.paste(portrait, (PORTRAIT_LEFT, PORTRAIT_TOP))
    return frame
