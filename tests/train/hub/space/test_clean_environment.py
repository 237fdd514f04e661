"""The Space as the platform builds it: an environment of its own, from its own requirements."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.hub.spaces import Page
from train.hub.space.config import read
from train.hub.space.stage import stage

REPOSITORY = Path(__file__).resolve().parents[4]

# Minutes, and gigabytes where PyTorch's CPU index cannot be reached.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def write(staged: dict[str, bytes], folder: Path) -> Path:
    for name, data in staged.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def find_python(wanted: str) -> str:
    """Return the interpreter of the card's Python if there is one, else this one."""
    name = shutil.which(f"python{wanted.rpartition('.')[0]}")
    if name and subprocess.run([name, "--version"], capture_output=True).returncode == 0:
        return name
    return sys.executable


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    staged = stage(read(REPOSITORY), REPOSITORY, preload=False)
    return write(staged, tmp_path_factory.mktemp("space") / "page")


@pytest.fixture(scope="module")
def python(folder: Path) -> str:
    """Interpreter of an environment with what the Space asks for and the platform adds."""
    config = read(REPOSITORY)
    environment = folder.parent / "environment"
    subprocess.run([find_python(config.card.python_version), "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--retries", "0"]
    subprocess.run([*pip, "-r", folder / "pre-requirements.txt"], check=True)
    added = [f"gradio[oauth,mcp]=={config.gradio}", "uvicorn>=0.14.0", "websockets>=10.4", "spaces"]
    subprocess.run([*pip, "-r", folder / "requirements.txt", *added], check=True)
    return str(environment / "bin" / "python")


@pytest.fixture
def classify(python: str, astronaut, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a staged folder and return the label that it gives to a portrait."""
    pages: list[Page] = []
    Image.fromarray(astronaut).save(tmp_path / "portrait.png")

    def classify(folder: Path, settings: dict[str, str]) -> str:
        pages.append(Page(folder, settings, python))
        assert pages[-1].wait(300) == "RUNNING", pages[-1].log
        client = Client(pages[-1].url, verbose=False)
        (face,) = client.predict(handle_file(tmp_path / "portrait.png"), api_name="/classify")
        return face["label"]

    yield classify
    for page in pages:
        page.close()


@pytest.fixture
def device_api() -> Iterator[tuple[str, list[str]]]:
    """What ZeroGPU's package reports a start to: its address, and what was reported."""
    reported: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reported.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", reported
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_staged_page_starts_and_classifies(classify, folder):
    assert classify(folder, {}) == "happiness"


def test_opencv_needs_no_system_libraries(python):
    code = "import cv2; raise SystemExit(not cv2.version.headless)"

    assert subprocess.run([python, "-c", code]).returncode == 0


def test_on_zerogpu_the_page_reports_its_start_and_classifies(classify, device_api, tmp_path):
    config = read(REPOSITORY)
    space = config.space.model_copy(update={"hardware": "zero-a10g"})
    staged = stage(config.model_copy(update={"space": space}), REPOSITORY, preload=False)
    address, reported = device_api

    label = classify(
        write(staged, tmp_path / "page"),
        {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": address},
    )

    assert label == "happiness"
    assert reported == ["/startup-report"]
