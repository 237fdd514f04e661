"""Live and Photo without the server: the network runs in the page, and answers as Python does."""

from __future__ import annotations

import base64
import io
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from playwright.sync_api import expect

from emotion.analyzer import Analyzer
from emotion.detect import RetinaFaceDetector
from emotion.graph_file import INT8
from emotion.weights import EMBEDDED, load_weights
from tests.browser.conftest import DEVICE, _astronaut, _hopper
from tests.browser.test_media_clip import CLIP
from tests.support.visit import REPOSITORY, served
from tests.support.visit import one_face as one_face_frame

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
def visited(shared_visit, one_face):
    """One page that chose the device."""
    return shared_visit(one_face, place=DEVICE)


@pytest.fixture(scope="module")
def opened(visited):
    """That page with the network in its worker."""
    page = visited.page
    assert page.evaluate(OPENED) == ""
    return page


@pytest.fixture(scope="module")
def in_float32(tmp_path_factory):
    """Address of a page whose weights have no 8-bit graph."""
    made = tmp_path_factory.mktemp("float32")
    shutil.copytree(EMBEDDED, made / "weights", ignore=shutil.ignore_patterns(INT8))
    environment = {**os.environ, "EMOTION_WEIGHTS": str(made / "weights")}
    with served(made / "app.log", environment) as running:
        yield running.url


@pytest.fixture(scope="module")
def opened_in_float32(shared_visit, one_face, in_float32):
    """That page with the network in its worker."""
    page = shared_visit(one_face, url=in_float32, place=DEVICE).page
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
def test_the_browser_answers_as_python_does(opened_in_float32, exact, name):
    picture = portraits()[name]
    check(ask(opened_in_float32, picture), exact.analyze(picture), picture.shape, exact)


def test_a_picture_that_is_one_face_is_answered_as_python_does(opened_in_float32, exact):
    picture = np.ascontiguousarray(_astronaut()[58:177, 168:280])
    (face,) = ask(opened_in_float32, picture, detect=False)
    (reference,) = exact.analyze(picture, detect=False)
    assert np.abs(np.array(face["crop"]).reshape(64, 64) - reference.crop.astype(int)).max() <= 2
    assert np.abs(np.array(face["probabilities"]) - reference.probabilities).max() <= 0.02
    cells = np.array([heat["cells"] for heat in face["heats"]]).reshape(6, 8, 8)
    assert np.abs(cells / 255 - reference.cams / reference.cams.max()).max() <= 0.02


def test_the_page_is_alone_with_itself_so_threads_share_the_work(
    shared_visit, one_face, exact, in_float32
):
    cores = "Object.defineProperty(navigator, 'hardwareConcurrency', { get: () => 3 })"
    page = shared_visit(one_face, url=in_float32, place=DEVICE, script=cores).page
    assert page.evaluate("window.crossOriginIsolated")
    assert page.evaluate(OPENED) == ""
    assert page.evaluate("window.emotionPage.device.threads") == 2
    for picture in (portraits()["frame"], portraits()["hopper"]):
        check(ask(page, picture), exact.analyze(picture), picture.shape, exact)


@pytest.mark.corpora
def test_the_browser_answers_as_python_does_while_a_head_turns(
    opened_in_float32, exact, shared_data
):
    path = Path(os.environ.get("EMOTION_MEDIA_ROOT", shared_data.parent / "media")) / CLIP
    if not path.is_file():
        pytest.skip(f"no {CLIP} in {path.parent}")
    with Image.open(path) as clip:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(clip)]
    for frame in frames[:: max(1, len(frames) // 6)]:
        frame.thumbnail((320, 320))
        picture = np.array(frame)
        check(ask(opened_in_float32, picture), exact.analyze(picture), picture.shape, exact)


def frames_of_the_example() -> list[np.ndarray]:
    with av.open(str(REPOSITORY / "emotion" / "assets" / "examples" / "clip.mp4")) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    return frames[::4]


def test_in_8_bits_the_answers_stay_within_what_those_cost(opened, exact):
    differences, maps = [], []
    for picture in (*portraits().values(), *frames_of_the_example()):
        found, expected = ask(opened, picture), exact.analyze(picture)
        assert len(found) == len(expected)
        size = np.array([picture.shape[1], picture.shape[0]] * 2)
        for face, reference in zip(found, expected, strict=True):
            assert np.abs(np.array(face["box"]) * size - reference.box).max() <= 2
            assert face["reason"] == reference.reason
            assert abs(face["calm"] - reference.calm) <= 0.15
            probabilities = np.array(face["probabilities"])
            first, second = np.sort(reference.probabilities)[::-1][:2]
            if first - second > 0.3:
                assert probabilities.argmax() == reference.index
            differences.append(np.abs(probabilities - reference.probabilities).max())
            cells = np.array(face["heats"][reference.index]["cells"])
            maps.append(np.corrcoef(cells, reference.cams[reference.index].ravel())[0, 1])
    assert len(differences) > 12
    assert max(differences) <= 0.1
    assert np.median(differences) <= 0.03
    assert min(maps) > 0.98
    assert np.median(differences) > 0


def test_live_on_the_device_sends_nothing_and_outlives_the_server(visited, opened, open_tab):
    open_tab(opened, "Live")
    bodies = []
    opened.on("request", lambda request: request.post_data and bodies.append(request.url))
    opened.locator("[data-do=start]").click()
    opened.wait_for_selector(".em-targets button", timeout=120_000)
    pace = "document.querySelector('.em-pace').textContent"
    opened.wait_for_function(f"{pace}.includes('on this device')", timeout=60_000)
    opened.context.set_offline(True)
    opened.evaluate(f"{pace} = ''")
    opened.wait_for_function(f"{pace} !== ''", timeout=120_000)
    expect(opened.locator(".em-targets button")).to_have_count(1)
    assert bodies == []
    opened.context.set_offline(False)
    opened.locator("[data-do=stop]").click()
    visited.complaints.clear()  # Chromium's own lines about a server that is not there


def said(page) -> str:
    return page.locator("[data-where]").first.text_content().strip()


def test_a_second_visit_fetches_only_what_is_small(opened):
    fetched = []
    opened.on("response", lambda answer: fetched.append(answer.url))
    opened.evaluate("() => window.emotionPage.device.close()")
    assert opened.evaluate(OPENED) == ""
    assert not [url for url in fetched if url.endswith((".safetensors", ".wasm", ".onnx"))]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("delete window.Worker", "no background scripts"),
        ("WebAssembly.validate = () => false", "too old"),
    ],
)
def test_a_browser_that_cannot_leaves_it_to_the_server_and_says_why(
    visit, one_face, start, script, words
):
    page = visit(one_face, place={}, script=script).page
    assert page.locator(".em-where input[value=device]").is_disabled()
    assert words in said(page)
    start(page)
    assert "on this device" not in page.locator(".em-pace").text_content()


def test_a_slow_device_leaves_it_to_the_server_and_is_remembered(visit, one_face, start):
    page = visit(one_face, place={"pace": 2.5}).page
    assert page.locator(".em-where input[value=server]").is_checked()
    start(page)
    assert "Small pictures go to the computer" in said(page)


def test_a_download_that_breaks_off_asks_who_chose_the_device(visit, one_face):
    seen = visit(one_face, place=DEVICE)
    page = seen.page
    page.route("**/int8.onnx", lambda route: route.abort())
    page.locator("[data-do=start]").click()
    page.get_by_text("could not be fetched completely").first.wait_for()
    expect(page.locator(".em-live")).to_have_attribute("data-state", "idle")
    seen.complaints.clear()  # Chromium's own line about the request


def test_a_photo_that_stays_is_answered_without_a_request(opened, open_tab, tmp_path):
    page = opened
    open_tab(page, "Photo")
    page.locator(".em-keep input").check()
    bodies = []
    page.on("request", lambda request: request.post_data and bodies.append(request.url))
    file = tmp_path / "portrait.jpg"
    Image.fromarray(_astronaut()).save(file, quality=93)
    page.locator(".em-photo input[type=file]").first.set_input_files(file)
    page.get_by_text("Without the mouth, Happiness falls").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Mouth", exact=True).click()
    page.get_by_text("Mouth covered").wait_for()
    assert bodies == []
