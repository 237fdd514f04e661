"""The network on a graphics processor: used where it is faster and says the same, and not missed.

Machines that test have none. So most tests let the processor stand in for it, and one computes with
SwiftShader, Chromium's program for such processors.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from emotion.analyzer import FRAME_SIDE, Analyzer
from emotion.detect import RetinaFaceDetector
from emotion.weights import load_weights
from tests.browser.conftest import DEVICE
from tests.browser.test_device_trouble import AFAR, HERE, answered, plain, sentence
from tests.support.visit import one_face as one_face_frame

pytestmark = pytest.mark.browser

SWIFTSHADER = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
OPENED = "() => window.emotionPage.device.open(() => {})"
GRAPHICS = "window.emotionPage.device.graphics"

STAND_IN = {
    "worker.js": (
        "",
        "Object.defineProperty(navigator, 'gpu', { value: {"
        "  requestAdapter: async () => ({ info: { isFallbackAdapter: false } }) } });\n",
    ),
    "engine.js": ("executionProviders: [provider]", "executionProviders: ['wasm']"),
}
"""Changes after which the worker takes the processor for a graphics processor, too."""

FASTER = {"graphics.js": ("tried.pace > measured.pace", "true")}
LOST = {
    "engine.js": (
        "executionProviders: [provider]",
        "executionProviders: ['wasm']",
        "const { features } =",
        "if (provider === 'webgpu' && self.lost) throw new Error('lost');\nconst { features } =",
    )
}


def change(page, changes: dict[str, tuple[str, ...]]) -> None:
    """Let the worker's scripts read otherwise: what stands first, and what instead, in pairs."""
    for name, pairs in changes.items():
        page.route(f"**/{name}", partial(_changed, pairs))


def _changed(pairs: tuple[str, ...], route) -> None:
    original = route.fetch()
    text = original.text()
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    route.fulfill(headers=plain(original), body=text)


def fetched_by(page) -> list[str]:
    """Names of what the page's workers fetch from here on."""
    names: list[str] = []
    page.on("response", lambda answer: names.append(answer.url.rpartition("/")[2]))
    return names


@pytest.mark.parametrize("flags", [(), SWIFTSHADER], ids=["none", "program"])
def test_without_a_graphics_processor_nothing_is_fetched_for_it(launch, visit, flags):
    with launch(*flags) as browser:
        page = visit(browser, place=DEVICE).page
        names = fetched_by(page)
        assert page.evaluate(OPENED) == ""
        assert page.evaluate(GRAPHICS) is False
        page.context.close()
    assert {"ort-wasm-simd-threaded.wasm", "int8.onnx"} <= set(names)
    assert not [name for name in names if "jspi" in name or name == "model.safetensors"]


def test_where_there_is_one_its_runtime_is_the_only_one(one_face, visit):
    page = visit(one_face, place=DEVICE).page
    change(page, {**STAND_IN, **FASTER})
    names = fetched_by(page)
    assert page.evaluate(OPENED) == ""
    assert page.evaluate(GRAPHICS) is True
    assert {"ort-wasm-simd-threaded.jspi.wasm", "model.safetensors"} <= set(names)
    assert not {"ort-wasm-simd-threaded.wasm", "int8.onnx"} & set(names)


@pytest.mark.parametrize(
    "changes",
    [
        {"graphics.js": ("tried.pace > measured.pace", "false")},
        {
            **FASTER,
            "engine.js": (
                *STAND_IN["engine.js"],
                "return features.data;",
                "return features.data.map((value) => value * (provider === 'webgpu' ? 1.2 : 1));",
            ),
        },
        {
            **FASTER,
            "engine.js": (
                *STAND_IN["engine.js"],
                "deltas: deltas.data,",
                "deltas: deltas.data.map((value) => value + (provider === 'webgpu' ? 0.05 : 0)),",
            ),
        },
        {"graphics.js": ('await engine.networks("webgpu")', "await Promise.reject('no memory')")},
        {
            "graphics.js": (
                'await engine.networks("webgpu")',
                "await new Promise(() => {})",
                "30_000",
                "100",
            )
        },
    ],
    ids=["slower", "other answers", "other boxes", "fails", "hangs"],
)
def test_one_that_is_no_good_is_left_alone(one_face, visit, changes):
    page = visit(one_face, place=DEVICE).page
    change(page, {**STAND_IN, **changes})
    assert page.evaluate(OPENED) == ""
    assert page.evaluate(GRAPHICS) is False


def test_when_it_is_lost_the_processor_goes_on_and_one_sentence_says_so(one_face, visit):
    page = visit(one_face, place=DEVICE).page
    change(page, {**STAND_IN, **FASTER, **LOST})
    sent = []
    page.on("request", lambda request: request.post_data and sent.append(request.url))
    page.locator("[data-do=start]").click()
    answered(page, f"{HERE} && {GRAPHICS}")
    assert "graphics processor" in page.locator(".em-pace").text_content()
    page.workers[0].evaluate("self.lost = true")
    sentence(page, "graphics processor of this device stopped")
    answered(page, HERE)
    assert "graphics processor" not in page.locator(".em-pace").text_content()
    assert sent == []


def test_when_it_is_lost_the_server_takes_over_from_a_slow_processor(one_face, visit):
    page = visit(one_face, place={"pace": 100}).page
    fast = {"worker.js": (*STAND_IN["worker.js"], "= better ?? measured", "= { pace: 100 }")}
    slow = ("fallen = measured.pace", "fallen = 5")
    change(page, {**STAND_IN, **FASTER, **LOST, "worker.js": (*fast["worker.js"], *slow)})
    page.locator("[data-do=start]").click()
    answered(page, f"{HERE} && {GRAPHICS}")
    page.workers[0].evaluate("self.lost = true")
    sentence(page, "graphics processor of this device stopped")
    answered(page, AFAR)
    assert page.locator(".em-where input[value=server]").is_checked()


KEEP_DEVICE = """
Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", { get: () => false });
GPUAdapter.prototype.requestDevice = ((real) => async function (...how) {
  return (self.graphicsDevice = await real.apply(this, how));
})(GPUAdapter.prototype.requestDevice);
"""
FRAME = """async ([pixels, width, height, time]) => {
  const { buffer } = Uint8ClampedArray.from(pixels);
  const answer = await window.emotionPage.device.post("frame", {
    pixels: buffer, width, height, time, explain: -1, visitor: "me", cover: 0 });
  return { ...answer, faces: answer.faces?.map(({ heat, ...face }) => face) };
}"""


@pytest.mark.slow
@pytest.mark.timeout(1800, method="thread")
def test_a_graphics_processor_answers_as_python_does_until_it_is_lost(launch, visit):
    exact = Analyzer(load_weights(), RetinaFaceDetector())
    picture = np.array(one_face_frame().resize((320, 240)))
    assert max(picture.shape) == FRAME_SIDE
    (expected,) = exact.analyze(picture)
    opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    with launch(*SWIFTSHADER) as browser:
        page = visit(browser, place=DEVICE).page
        patient = {"graphics.js": (*FASTER["graphics.js"], "30_000", "1_000_000")}
        change(page, {"worker.js": ("", KEEP_DEVICE), **patient})
        assert page.evaluate(OPENED) == ""
        assert page.evaluate(GRAPHICS) is True
        for time, lost in ((1, False), (1.5, False), (2, True)):
            if lost:
                page.workers[0].evaluate("self.graphicsDevice.destroy()")
            answer = page.evaluate(FRAME, [opaque.ravel().tolist(), 320, 240, time])
            assert "error" not in answer
            if time == 1:
                continue  # a face counts when it was seen for a while
            (face,) = answer["faces"]
            box = np.array(face["box"]) * [320, 240, 320, 240]
            assert np.abs(box - expected.box).max() <= 2
            found = np.array(face["probabilities"])
            assert np.abs(found - expected.probabilities).max() <= 0.02
            assert bool(answer["fallen"]) is lost
        page.context.close()
