"""Pictures in, JSON out: the lines of docs/http.md as they are printed there."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from emotion.labels import LABELS
from emotion.ui.plain import MAX_PICTURES
from tests.conftest import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "http.md").read_text("utf-8")
LINES = [line for line in DOCUMENT.splitlines() if line.startswith("curl ")]


def jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path, astronaut, hopper) -> Path:
    (tmp_path / "photo.jpg").write_bytes(jpeg(astronaut))
    (tmp_path / "a.jpg").write_bytes(jpeg(astronaut))
    (tmp_path / "b.jpg").write_bytes(jpeg(hopper))
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("line", LINES)
def test_every_curl_line_of_the_document_works_as_printed(line, served, folder):
    command = line.replace("http://127.0.0.1:7860/", served.url)
    assert command != line
    run = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=True)
    assert json.loads(run.stdout)


def test_a_picture_is_answered_as_the_analyzer_does(served, folder, analyzer):
    content = (folder / "photo.jpg").read_bytes()
    (face,) = httpx.post(f"{served.url}classify", content=content, timeout=60).json()
    (expected,) = analyzer.analyze(content)
    assert face == {**expected.to_dict(), "picture": {"width": 512, "height": 512}}


def test_the_whole_picture_is_one_face_if_told_so(served, folder):
    content = (folder / "photo.jpg").read_bytes()
    url = f"{served.url}classify?detect=false"
    (face,) = httpx.post(url, files={"picture": content}, timeout=60).json()
    assert face["box"] is None


def test_a_batch_is_answered_in_order_and_says_what_cannot_be_read(served, folder):
    files = [
        ("picture", (name, content))
        for name, content in [
            ("b.jpg", (folder / "b.jpg").read_bytes()),
            ("broken.jpg", b"\xff\xd8\xff"),
            ("wall.jpg", jpeg(np.full((80, 80, 3), 90, np.uint8))),
            ("a.jpg", (folder / "a.jpg").read_bytes()),
        ]
    ]
    answer = httpx.post(f"{served.url}classify_batch", files=files, timeout=60)
    assert answer.status_code == 200
    values = answer.json()
    assert [value["name"] for value in values] == ["b.jpg", "broken.jpg", "wall.jpg", "a.jpg"]
    assert [len(value["faces"]) for value in values] == [1, 0, 0, 1]
    assert [value["error"] is None for value in values] == [True, False, True, True]
    assert values[3]["faces"][0]["label"] == "happiness"


@pytest.mark.parametrize(
    ("path", "sent", "status", "words"),
    [
        ("classify", {"content": b""}, 422, "curl --data-binary"),
        ("classify", {"content": b"hello"}, 422, "not a picture"),
        ("classify", {"files": [("a", b"1"), ("b", b"2")]}, 422, "Send one picture"),
        ("classify", {"content": bytes(9 * 1024**2)}, 422, "larger than 8 MB"),
        ("classify", {"content": bytes(13 * 1024**2)}, 413, "larger than 12 MB"),
        ("classify_batch", {"files": {"x": (None, "y")}}, 422, "Send 1 to"),
        ("classify_batch", {"files": [("p", b"x")] * (MAX_PICTURES + 2)}, 400, "Send 1 to"),
        ("classify_batch", {"content": b""}, 422, "Send 1 to"),
    ],
)
def test_what_cannot_be_is_one_sentence(path, sent, status, words, served):
    answer = httpx.post(f"{served.url}{path}", timeout=60, **sent)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_another_site_cannot_send_pictures(served):
    headers = {"Origin": "https://example.org"}
    answer = httpx.post(f"{served.url}classify", content=b"x", headers=headers)
    assert answer.status_code == 403


def test_both_descriptions_are_there_and_name_every_endpoint(served):
    own = httpx.get(f"{served.url}openapi.json").json()
    assert set(own["paths"]) == {"/classify", "/classify_batch"}
    face = own["components"]["schemas"]["Face"]["properties"]
    assert list(face["probabilities"]["properties"]) == list(LABELS)
    theirs = httpx.get(f"{served.url}gradio_api/openapi.json").json()
    named = {re.sub(r".*/", "", path) for path in theirs["paths"]}
    assert {"classify", "explain", "model_info", "health"} <= named


def test_the_description_fits_an_answer(served, folder):
    own = httpx.get(f"{served.url}openapi.json").json()
    content = (folder / "photo.jpg").read_bytes()
    (face,) = httpx.post(f"{served.url}classify", content=content, timeout=60).json()
    assert set(own["components"]["schemas"]["Face"]["properties"]) == set(face)
