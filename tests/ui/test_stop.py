"""``python app.py`` from its start to its end: nothing of visitors stays behind."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.visit import free_port

REPOSITORY = Path(__file__).resolve().parents[2]

MEMORY_MB = 700
"""What a server may take for itself before the first visitor came; 500 were measured.

Pages of libraries do not count: how many of them are resident is the system's choice (370 MB on one
machine, about 200 more on another), and it can drop them.
"""


@contextmanager
def running(temporary: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The app with a folder for temporary files of its own; its process and address."""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("GRADIO_TEMP_DIR", None)
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(free_port()), *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"http://\S+", line):
                break
        else:
            pytest.fail("".join(lines))
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def upload(url: str) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(buffer, "JPEG")
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.jpg", buffer.getvalue())})
    return str(answer.json()[0])


@pytest.mark.parametrize(
    ("how", "host"),
    [
        (signal.SIGTERM, "::1"),
        pytest.param(signal.SIGINT, "::", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_is_told_to_stop_leaves_nothing(tmp_path, how, host):
    # Another user's Gradio has run here before: this place is not ours. A file, because root
    # could write into a folder.
    (tmp_path / "gradio").write_bytes(b"theirs")
    with running(tmp_path, "--host", host) as (process, url):
        assert memory_mb(process.pid) < MEMORY_MB
        path = Path(upload(url))
        assert path.exists()
        assert tmp_path in path.parents
        with httpx.stream("GET", f"{url}gradio_api/heartbeat/somebody"):  # a page that is open
            process.send_signal(how)
            assert process.wait(timeout=60) == 0
        assert process.stdout is not None
        assert "Traceback" not in process.stdout.read()
    left = set(tmp_path.iterdir()) - set(tmp_path.glob("torchinductor*"))  # empty, and torch's
    assert left == {tmp_path / "gradio"}


@pytest.mark.slow
def test_what_a_killed_server_leaves_is_gone_at_the_next_start(tmp_path):
    with running(tmp_path) as (process, url):
        path = Path(upload(url))
        decoder = children(process.pid)
        process.kill()
        process.wait()
    assert path.exists()
    with running(tmp_path):
        assert not path.exists()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in decoder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in decoder)


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0]) / 1024


UNNEEDED = ("torchvision", "torch._dynamo", "torch._inductor", "sympy", "matplotlib", "datasets")


def test_the_page_imports_nothing_large_that_it_does_not_need():
    code = (
        "import sys; from emotion.analyzer import Analyzer; import emotion.ui.demo;"
        "Analyzer.from_weights('embedded'); print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert set(UNNEEDED) & set(run.stdout.split()) == set()


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [int(child) for child in found]
