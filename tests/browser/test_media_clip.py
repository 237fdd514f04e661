"""A real head that turns in front of a real camera, if the clip is there."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageSequence
from playwright.sync_api import Request

from tests.browser.conftest import CAMERA_HEIGHT, CAMERA_WIDTH
from tests.support.visit import camera_flags

pytestmark = [pytest.mark.browser, pytest.mark.corpora]

CLIP = "head-pose-face-detection-female.gif"


@pytest.fixture(scope="module")
def turning_head(launch, shared_data, tmp_path_factory):
    """Chromium whose camera plays the clip, each picture for a tenth of a second."""
    path = Path(os.environ.get("EMOTION_MEDIA_ROOT", shared_data.parent / "media")) / CLIP
    if not path.is_file():
        pytest.skip(f"no {CLIP} in {path.parent}")
    pictures = io.BytesIO()
    with Image.open(path) as clip:
        for frame in ImageSequence.Iterator(clip):
            width, height = frame.size
            left = (width - height * CAMERA_WIDTH // CAMERA_HEIGHT) // 2
            middle = frame.convert("RGB").crop((left, 0, width - left, height))
            once = io.BytesIO()
            middle.resize((CAMERA_WIDTH, CAMERA_HEIGHT)).save(once, "JPEG", quality=90)
            pictures.write(once.getvalue() * 3)
    played = tmp_path_factory.mktemp("clip") / "head.mjpeg"
    played.write_bytes(pictures.getvalue())
    with launch(*camera_flags(played)) as browser:
        yield browser


def test_a_turning_head_stays_one_face_with_a_growing_timeline(visit, turning_head, start):
    page = visit(turning_head).page
    # Only what has arrived: waiting for the body of an answer that Stop cut off never ends.
    page.on("requestfinished", lambda request: finished.append(request))
    finished: list[Request] = []
    start(page)
    page.wait_for_timeout(6000)
    page.get_by_role("button", name="Stop").click()
    answers = [request.response() for request in finished if "/frame?" in request.url]
    bodies = [answer.json() for answer in answers if answer]
    faces = [body["faces"] for body in bodies if "faces" in body]
    assert len(faces) >= 3
    assert sum(len(found) == 1 for found in faces) >= 0.8 * len(faces)
    assert len({found[0]["id"] for found in faces if found}) <= 2
    for found in faces:
        for face in found:
            assert sum(face["probabilities"]) == pytest.approx(1, abs=1e-3)
