from __future__ import annotations

import io
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Request, expect

pytestmark = pytest.mark.browser

BACK_CAMERA = """
const settings = MediaStreamTrack.prototype.getSettings;
MediaStreamTrack.prototype.getSettings = function () {
  return { ...settings.call(this), facingMode: "environment" };
};
"""


@pytest.fixture(scope="module")
def mirror(shared_visit, one_face):
    """One page for all tests that need nothing special."""
    return shared_visit(one_face)


@pytest.fixture
def page(mirror, start):
    """That page with the camera running, and everything else as a visitor finds it."""
    start(mirror.page)
    yield mirror.page
    mirror.page.locator("#live select").select_option("-1")
    mirror.page.locator("#live").get_by_label("Evidence", exact=True).check()
    mirror.page.locator("#live").get_by_label("Strength of the evidence").fill("75")
    spotlight(mirror.page, on=True)
    mirror.page.get_by_role("button", name="Stop").click()


def spotlight(page, on: bool) -> None:
    """Draw evidence as a spotlight, which dims what is no evidence, or as heat."""
    button = page.locator("#live [data-do=spotlight]")
    if (button.get_attribute("aria-pressed") == "true") != on:
        button.click()


def heated_face(page) -> np.ndarray:
    """Wait until heat lies on the face; the middle of the face's box."""
    spotlight(page, on=False)
    for _ in range(100):
        face = inner(fractions(page, ".em-targets button"))
        if canvas_alpha(page, face) > 0.02:
            return face
        page.wait_for_timeout(100)
    raise AssertionError("There is no heat on the face after ten seconds.")


def fractions(page, selector: str) -> np.ndarray:
    """Box of an element as fractions of the video on the screen."""
    video, box = (page.locator(s).bounding_box() for s in (".em-stage video", selector))
    corners = [box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]
    origin = np.array([video["x"], video["y"]] * 2)
    return (np.array(corners) - origin) / np.array([video["width"], video["height"]] * 2)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def mirrored(box: np.ndarray) -> np.ndarray:
    return np.array([1 - box[2], box[1], 1 - box[0], box[3]])


# What one answer says, read at once: the next one may come between two questions of the test.
PANEL = """() => {
  const rows = [...document.querySelectorAll("#live .em-bars li")];
  return {
    values: rows.map((row) => Number(row.dataset.value)),
    emphasised: rows.flatMap((row, index) => ("top" in row.dataset ? [index] : [])),
    names: rows.map((row) => row.querySelector(".em-bar-name").innerText),
    said: document.querySelector("#live .em-face-name").innerText,
  };
}"""


def canvas_alpha(page, box: np.ndarray) -> float:
    """Mean opacity, 0..1, of what is drawn over a part of the video."""
    return page.evaluate(
        """([x0, y0, x1, y1]) => {
          const canvas = document.querySelector(".em-stage canvas");
          const [w, h] = [canvas.width, canvas.height];
          const { data } = canvas.getContext("2d")
            .getImageData(x0 * w, y0 * h, (x1 - x0) * w, (y1 - y0) * h);
          const alphas = data.filter((_, i) => i % 4 === 3);
          return alphas.reduce((sum, alpha) => sum + alpha, 0) / alphas.length / 255;
        }""",
        box.tolist(),
    )


def inner(box: np.ndarray) -> np.ndarray:
    """The middle of a box, away from its outline."""
    size = (box[2:] - box[:2]) / 4
    return np.concatenate([box[:2] + size, box[2:] - size])


def said_with(request: Request) -> dict[str, str]:
    """What goes with a frame."""
    return dict(parse_qsl(urlsplit(request.url).query))


def frames_sent(page) -> list[dict[str, str]]:
    sent: list[dict[str, str]] = []

    def note(request) -> None:
        if "/frame?" in request.url:
            sent.append(said_with(request))

    page.on("request", note)
    return sent


def wait_until_nothing_is_sent(page) -> None:
    """Wait until no frame is under way and none comes after the last one."""
    under_way, sent = set(), []

    def begins(request) -> None:
        if "/frame?" in request.url:
            under_way.add(request)
            sent.append(request)

    def ends(request) -> None:
        under_way.discard(request)

    page.on("request", begins)
    page.on("requestfinished", ends)
    page.on("requestfailed", ends)
    for _ in range(60):
        page.wait_for_timeout(600)
        if not sent and not under_way:
            break
        sent.clear()
    else:
        raise AssertionError("Frames are sent all the time.")
    page.remove_listener("request", begins)
    page.remove_listener("requestfinished", ends)
    page.remove_listener("requestfailed", ends)


def test_the_box_lies_on_the_face_in_the_mirror(page, face_on_the_left):
    shown = fractions(page, ".em-targets button")
    assert shown[0] > 0.5
    assert overlap(shown, mirrored(face_on_the_left)) > 0.7


def test_the_box_lies_on_the_face_of_a_back_camera(visit, one_face, start, face_on_the_left):
    page = visit(one_face, script=BACK_CAMERA).page
    start(page)
    shown = fractions(page, ".em-targets button")
    assert shown[2] < 0.5
    assert overlap(shown, face_on_the_left) > 0.7


def test_the_heat_map_lies_on_the_face_and_can_be_switched_off(page):
    face = heated_face(page)
    assert canvas_alpha(page, np.array([0.05, 0.7, 0.4, 0.95])) == 0
    page.locator("#live").get_by_label("Evidence", exact=True).uncheck()
    assert canvas_alpha(page, face) == 0


def test_opacity_fades_the_heat_map(page):
    heated_face(page)
    page.get_by_role("button", name="Freeze").click()
    wait_until_nothing_is_sent(page)
    face = heated_face(page)
    slider = page.locator("#live").get_by_label("Strength of the evidence")
    slider.fill("100")
    strong = canvas_alpha(page, face)
    slider.fill("20")
    assert canvas_alpha(page, face) == pytest.approx(strong / 5, rel=0.15)


def test_six_probabilities_sum_to_one_and_the_strongest_is_emphasised(page):
    panel = page.evaluate(PANEL)
    numbers = panel["values"]
    assert len(numbers) == 6
    assert sum(numbers) == pytest.approx(1, abs=1e-3)
    assert panel["emphasised"] == [int(np.argmax(numbers))]
    assert panel["said"] == panel["names"][np.argmax(numbers)]


COUNTED = """
window.seen = { sent: 0, underWay: 0, most: 0, largest: 0 };
const fetched = window.fetch;
window.fetch = async (target, options) => {
  if (!String(target.url ?? target).includes("/frame?")) return fetched(target, options);
  seen.sent++;
  seen.most = Math.max(seen.most, ++seen.underWay);
  seen.largest = Math.max(seen.largest, options.body.length);
  return fetched(target, options).finally(() => seen.underWay--);
};
"""


def test_frames_are_small_and_one_at_a_time(visit, one_face, start):
    page = visit(one_face, script=COUNTED).page
    start(page)
    page.wait_for_function("seen.sent >= 6")
    assert page.evaluate("seen.most") == 1
    assert 0 < page.evaluate("seen.largest") < 64_000


def test_the_chosen_class_is_asked_for(page):
    with page.expect_request(lambda r: "/frame?" in r.url and said_with(r)["explain"] == "5"):
        page.locator("#live select").select_option(label="Fear")


def camera_is_off(page) -> bool:
    return page.evaluate("document.querySelector('.em-stage video').srcObject === null")


def remember_tracks(page) -> None:
    page.evaluate("window.tracks = document.querySelector('.em-stage video').srcObject.getTracks()")


def all_ended(page) -> bool:
    return page.evaluate("window.tracks.every((track) => track.readyState === 'ended')")


def test_stop_releases_the_camera_and_offers_to_start_again(page, start):
    remember_tracks(page)
    page.get_by_role("button", name="Stop").click()
    assert camera_is_off(page)
    assert all_ended(page)
    start(page)


def test_leaving_the_tab_releases_the_camera(page, start, open_tab):
    remember_tracks(page)
    open_tab(page, "Photo")
    page.wait_for_function("window.tracks.every((track) => track.readyState === 'ended')")
    open_tab(page, "Live")
    start(page)


def test_a_hidden_page_sends_nothing(page):
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })"
    )
    wait_until_nothing_is_sent(page)
    sent = frames_sent(page)
    page.wait_for_timeout(600)
    assert sent == []
    page.evaluate("delete document.hidden")
    with page.expect_request("**/frame?*"):
        pass


def test_save_downloads_the_picture_with_its_overlay(page, face_on_the_left):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    content = download.value.path().read_bytes()
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert picture.shape == (480, 640, 3)
    _, y0, x1, y1 = (mirrored(face_on_the_left) * [640, 480, 640, 480]).astype(int)
    outline = picture[y0 + 10 : y1 - 10, x1 - 12 : x1 + 12]
    colourful = outline.max(axis=2) - outline.min(axis=2)
    assert colourful.max(axis=1).min() > 60


def test_another_face_can_be_chosen_by_keyboard(visit, two_faces, start):
    page = visit(two_faces).page
    start(page)
    page.wait_for_function("document.querySelectorAll('.em-targets button').length === 2")
    panel = page.locator("#live .em-face-name")
    assert panel.inner_text() == "Face 1"
    page.locator(".em-targets button").nth(1).focus()
    page.keyboard.press("Enter")
    assert panel.inner_text() == "Face 2"
    page.wait_for_timeout(500)
    assert panel.inner_text() == "Face 2"
    assert page.locator(".em-targets button").nth(1).get_attribute("aria-pressed") == "true"


def test_the_camera_is_stopped_and_started_by_keyboard(page):
    page.locator("[data-do=stop]").focus()
    page.keyboard.press("Space")
    page.wait_for_selector(".em-live[data-state=idle]")
    assert page.evaluate("document.activeElement.dataset.do") == "start"
    page.keyboard.press("Enter")
    page.wait_for_selector(".em-targets button", timeout=30_000)


def test_the_result_is_announced_politely(page):
    announcer = page.locator("#live [data-announce]")
    assert announcer.get_attribute("aria-live") == "polite"
    expect(announcer).to_contain_text("percent")


def test_a_busy_server_is_said_and_the_view_goes_on_by_itself(page):
    page.route("**/frame?*", lambda route: route.fulfill(json={"busy": True}))
    page.wait_for_selector(".em-note:has-text('busy with other visitors')")
    page.unroute("**/frame?*")
    page.wait_for_selector(".em-note", state="hidden")
    assert sum(page.evaluate(PANEL)["values"]) == pytest.approx(1, abs=1e-3)


def test_a_server_that_refuses_for_now_is_busy_and_the_page_stays(page, mirror):
    page.evaluate("window.same = true")
    refused = {"status": 429, "json": {"detail": "Too many requests.", "error": "x"}}
    page.route("**/frame?*", lambda route: route.fulfill(**refused))
    page.wait_for_selector(".em-note:has-text('busy with other visitors')")
    page.wait_for_timeout(4000)  # longer than after which a server that is gone is looked for
    page.unroute("**/frame?*")
    page.wait_for_selector(".em-note", state="hidden")
    assert page.evaluate("window.same")
    assert all("429" in complaint for complaint in mirror.complaints)
    mirror.complaints.clear()


def test_an_unreachable_server_is_said_and_the_view_recovers(page, mirror):
    page.route("**/frame?*", lambda route: route.abort())
    page.wait_for_selector(".em-note:has-text('does not answer')")
    assert page.locator(".em-targets button").count() == 0
    page.unroute("**/frame?*")
    page.wait_for_selector(".em-targets button")
    page.wait_for_selector(".em-note", state="hidden")
    # The browser itself logs a failed request; nothing else may be there.
    assert all("ERR_FAILED" in complaint for complaint in mirror.complaints)
    mirror.complaints.clear()


def test_two_visitors_share_the_server(visit, one_face, two_faces, start):
    """Who is served always comes back first; without turns the other one would get nothing."""
    pages = [visit(browser).page for browser in (one_face, two_faces)]
    for page in pages:
        start(page)
    for page in pages:
        page.evaluate(
            "window.changes = 0; new MutationObserver(() => changes++).observe("
            "document.querySelector('.em-pace'), { childList: true })"
        )
    for page, count in zip(pages, (1, 2), strict=True):
        # The status line is set once a second, as long as there are answers.
        page.wait_for_function(
            """() => changes >= 3 && document.querySelector(".em-note").hidden
              && document.querySelector(".em-pace").textContent.includes("per second")"""
        )
        expect(page.locator(".em-targets button")).to_have_count(count)
