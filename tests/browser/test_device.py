"""Live and Photo without the server: the network runs in the page, and answers as Python does."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from emotion.analyzer import Analyzer
from emotion.detect import RetinaFaceDetector
from emotion.weights import load_weights
from tests.browser.conftest import DEVICE, _astronaut, _hopper
from tests.browser.test_media_clip import CLIP
from tests.support.visit import one_face as one_face_frame
from tests.support.visit import served

pytestmark = pytest.mark.browser

OPENED = "async () => window.emotionPage.device.open(() => {})"
ASKED = """async ([url, detect]) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data.buffer;
  const { faces, error } = await window.emotionPage.device.ask(
    "photo", { pixels, width, height, detect });
  return error ?? faces.map(({ crop, ...face }) => ({ ...face, crop: [...crop] }));
}"""


@pytest.fixture(scope="module")
def opened(shared_visit, one_face):
    """The page with the network in its worker."""
    page = shared_visit(one_face, place=DEVICE).page
    assert page.evaluate(OPENED) == ""
    return page


@pytest.fixture(scope="module")
def exact():
    """What must be agreed with: torch in float32."""
    return Analyzer(load_weights(), RetinaFaceDetector())


def ask(page, picture: np.ndarray, *, detect: bool = True) -> list[dict]:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    answer = page.evaluate(ASKED, [url, detect])
    assert isinstance(answer, list), answer
    return answer


def portraits() -> dict[str, np.ndarray]:
    turned = np.ascontiguousarray(_hopper()[::-1, ::-1])
    return {
        "frame": np.array(one_face_frame().resize((320, 240))),
        "astronaut": _astronaut(),
        "hopper": _hopper().copy(),
        "upside down": turned,
        "small": np.array(Image.fromarray(_astronaut()).resize((96, 96))),
        "cut off": np.ascontiguousarray(_astronaut()[:, :215]),
    }


def check(found: list[dict], expected, shape, exact) -> None:
    """Hold the browser's faces of one picture against Python's."""
    assert len(found) == len(expected)
    size = np.array([shape[1], shape[0]] * 2)
    for face, reference in zip(found, expected, strict=True):
        assert np.abs(np.array(face["box"]) * size - reference.box).max() <= 2
        probabilities = np.array(face["probabilities"])
        assert np.abs(probabilities - reference.probabilities).max() <= 0.02
        first, second = np.sort(reference.probabilities)[::-1][:2]
        if first - second > 0.02:
            assert probabilities.argmax() == reference.index
        assert face["reason"] == reference.reason
        assert abs(face["calm"] - reference.calm) <= 0.02
        told = exact.explain(reference)
        kinds = None if told is None else [told.finding(index).part for index in range(6)]
        if kinds is not None:
            agreed = [finding["part"] for finding in face["findings"][1:]]
            assert np.mean([one == other for one, other in zip(agreed, kinds, strict=True)]) > 0.6


@pytest.mark.parametrize("name", portraits())
def test_the_browser_answers_as_python_does(opened, exact, name):
    picture = portraits()[name]
    check(ask(opened, picture), exact.analyze(picture), picture.shape, exact)


def test_a_picture_that_is_one_face_is_answered_as_python_does(opened, exact):
    picture = np.ascontiguousarray(_astronaut()[58:177, 168:280])
    (face,) = ask(opened, picture, detect=False)
    (reference,) = exact.analyze(picture, detect=False)
    assert np.abs(np.array(face["crop"]).reshape(64, 64) - reference.crop.astype(int)).max() <= 2
    assert np.abs(np.array(face["probabilities"]) - reference.probabilities).max() <= 0.02
    cells = np.array([heat["cells"] for heat in face["heats"]]).reshape(6, 8, 8)
    assert np.abs(cells / 255 - reference.cams / reference.cams.max()).max() <= 0.02


@pytest.mark.corpora
def test_the_browser_answers_as_python_does_while_a_head_turns(opened, exact, shared_data):
    path = Path(os.environ.get("EMOTION_MEDIA_ROOT", shared_data.parent / "media")) / CLIP
    if not path.is_file():
        pytest.skip(f"no {CLIP} in {path.parent}")
    with Image.open(path) as clip:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(clip)]
    for frame in frames[:: max(1, len(frames) // 12)]:
        frame.thumbnail((320, 320))
        picture = np.array(frame)
        check(ask(opened, picture), exact.analyze(picture), picture.shape, exact)


def test_live_on_the_device_sends_nothing_and_outlives_the_server(
    tmp_path, shared_visit, one_face, start
):
    with served(tmp_path / "app.log") as app:
        page = shared_visit(one_face, url=app.url, place=DEVICE).page
        bodies = []
        page.on("request", lambda request: request.post_data and bodies.append(request.url))
        start(page)
        page.wait_for_timeout(5000)
        assert bodies == []
        assert "on this device" in page.locator(".em-pace").text_content()
    # The server is gone; the answers are not.
    page.evaluate("document.querySelector('.em-pace').textContent = ''")
    page.wait_for_function("document.querySelector('.em-pace').textContent !== ''")
    assert page.locator(".em-targets button").count() == 1
    assert bodies == []
    page.get_by_role("button", name="Stop").click()
