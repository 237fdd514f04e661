"""What a stranger sees first, and what can be tried without camera or picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

NO_CAMERA = """
window.asked = 0;
navigator.mediaDevices.getUserMedia = () => {
  window.asked++;
  return Promise.reject(new DOMException("", "NotFoundError"));
};
"""


@pytest.fixture(scope="module")
def visited(shared_visit, one_face):
    """One page that has no camera."""
    return shared_visit(one_face, script=NO_CAMERA)


@pytest.fixture
def page(visited, open_tab):
    """Its Live tab on a phone."""
    visited.page.set_viewport_size({"width": 390, "height": 844})
    open_tab(visited.page, "Live")
    return visited.page


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (1280, 900)])
def test_a_promise_a_picture_and_one_button_stand_on_the_first_screen(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    assert page.get_by_role("heading", name="Make a face").is_visible()
    button = page.get_by_role("button", name="Start camera").bounding_box()
    assert (
        button["y"] + button["height"]
        <= page.viewport_size["height"] + (page.viewport_size["height"] < 400) * 60
    )
    pictures = page.locator(".em-six-drawn img")
    assert pictures.count() == 6
    page.wait_for_function(
        "[...document.querySelectorAll('.em-six-drawn img')].every((one) => one.naturalWidth > 0)"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_without_a_camera_the_clip_takes_the_whole_live_path(page):
    page.get_by_role("button", name="Try it without a camera").click()
    page.wait_for_selector(".em-targets button", timeout=30_000)
    x = page.locator(".em-targets button").evaluate("(one) => parseFloat(one.style.left)")
    assert 30 < x < 60  # not mirrored, as the clip is not
    values = page.locator("#live .em-bars li").evaluate_all("(r) => r.map((o) => +o.dataset.value)")
    assert sum(values) == pytest.approx(1, abs=1e-3)
    assert page.locator("#live .em-credit").is_visible()
    assert "CC BY 4.0" in page.locator("#live .em-credit").inner_text()
    assert not page.locator("#live [data-do=mirror]").is_visible()
    assert page.evaluate("asked") == 0
    page.get_by_role("button", name="Stop").click()
    assert not page.locator("#live .em-credit").is_visible()
    assert page.evaluate("document.querySelector('.em-stage video').hasAttribute('src')") is False


def test_a_missing_camera_offers_the_clip_and_a_missing_clip_is_said(page, visited):
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector(".em-note:has-text('No camera was found')")
    assert page.get_by_role("button", name="Try it without a camera").is_visible()
    page.route("**/examples/clip.mp4", lambda route: route.abort())
    page.get_by_role("button", name="Try it without a camera").click()
    page.wait_for_selector(".em-note:has-text('clip could not be loaded')")
    page.unroute("**/examples/clip.mp4")
    visited.complaints.clear()


@pytest.mark.parametrize("example", ["clip-front", "drawn-surprise"])
def test_frames_and_drawn_faces_are_one_click_away(page, open_tab, example):
    open_tab(page, "Photo")
    button = page.locator(f"[data-example={example}]")
    button.click()
    page.wait_for_selector(".em-face", timeout=30_000)
    assert page.locator(".em-face").count() == 1
    page.get_by_role("button", name="Another picture").click()
    expect(page.locator(".em-drop")).to_contain_text("A drawn face:")
    expect(page.locator(".em-drop")).to_contain_text("CC BY 4.0")
