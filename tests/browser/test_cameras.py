"""Cameras as they are reported to be: several, busy, muted by a call, silent, scrambled, absent."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.exchange import EXCHANGE, answer, face, hold_when

pytestmark = pytest.mark.browser

# Three cameras, as phones and desktops with a facing mode report them. Their pictures stop when
# `drawing` does; `muted` is what a call, another page or the system does to the track.
DEVICES = """
window.devices = { ids: [], busy: [], opened: [], drawing: true, muted: false, track: null };
function film(id) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
  const context = canvas.getContext("2d");
  let count = 0;
  const draw = () => {
    if (!devices.drawing) return;
    context.fillStyle = `rgb(200 ${count++ % 200} 60)`;
    context.fillRect(0, 0, 640, 480);
    context.fillStyle = "#2040f0";
    context.fillRect(0, 0, 200, 480);
  };
  draw();
  const timer = setInterval(draw, 30);
  const stream = canvas.captureStream(30);
  const [track] = stream.getVideoTracks();
  const stop = track.stop.bind(track);
  track.stop = () => { clearInterval(timer); stop(); };
  const facingMode = id === devices.ids[0] ? "user" : "environment";
  track.getSettings = () => ({ deviceId: id, facingMode });
  Object.defineProperty(track, "muted", { get: () => devices.muted });
  Object.defineProperty(track, "label", { get: () => `Camera ${id}` });
  devices.track = track;
  return stream;
}
navigator.mediaDevices.enumerateDevices = async () =>
  devices.ids.map((deviceId) => ({ deviceId, kind: "videoinput", label: deviceId, groupId: "" }));
navigator.mediaDevices.getUserMedia = async ({ video }) => {
  const id = video.deviceId?.exact ?? devices.ids[0];
  if (!devices.ids.includes(id)) throw new DOMException("", "OverconstrainedError");
  if (devices.busy.includes(id)) throw new DOMException("", "NotReadableError");
  devices.opened.push(id);
  return film(id);
};
"""

NOTE = ".em-note:not([hidden]):has-text('{}')"
SILENT = "document.querySelector('.em-note').textContent.includes('No new pictures come')"


@pytest.fixture(scope="module")
def visited(shared_visit, one_face):
    """One page whose cameras and whose server are ours."""
    return shared_visit(one_face, script=EXCHANGE + DEVICES)


@pytest.fixture
def cameras(visited, request, open_tab):
    """That page with three cameras that it has never seen, their names ending in 1, 2 and 3."""
    page = visited.page
    names = [f"{request.node.name}-{n}" for n in (1, 2, 3)]
    page.evaluate(
        """(ids) => {
          localStorage.clear();
          Object.assign(devices, { ids, busy: [], opened: [], drawing: true, muted: false });
          Object.assign(exchange, { sent: [], delay: 0, answer: { faces: [], count: 0 } });
        }""",
        names,
    )
    yield page
    page.evaluate("setPace(1)")
    open_tab(page, "Live")
    if page.locator("[data-do=stop]").is_visible():
        page.locator("[data-do=stop]").click()


def begin(page) -> None:
    page.locator("[data-do=start]").click()
    page.wait_for_selector(".em-live[data-state=running]")


def opened(page) -> list[int]:
    """The numbers of the cameras that were opened, in turn."""
    return [int(name[-1]) for name in page.evaluate("devices.opened")]


def switch(page) -> None:
    count = len(opened(page))
    page.get_by_role("button", name="Switch camera").click()
    page.wait_for_function(f"devices.opened.length > {count}")
    page.wait_for_selector(".em-live[data-state=running]")


def test_switch_goes_round_all_cameras_and_says_which(cameras):
    begin(cameras)
    cameras.evaluate("setPace(0)")  # what is said gives way when nobody is in view for a while
    for number in (2, 3, 1):
        switch(cameras)
        expect(cameras.locator(".em-note")).to_contain_text(f"-{number}")
    assert opened(cameras) == [1, 2, 3, 1]


def test_the_camera_that_was_chosen_is_opened_the_next_time(cameras):
    begin(cameras)
    switch(cameras)
    cameras.locator("[data-do=stop]").click()
    begin(cameras)
    assert opened(cameras) == [1, 2, 2]
    assert cameras.evaluate("JSON.parse(localStorage['emotion-camera']).id").endswith("-2")


def test_a_busy_default_camera_gives_way_to_one_that_is_free(cameras):
    cameras.evaluate("devices.busy = devices.ids.slice(0, 2)")
    begin(cameras)
    assert opened(cameras) == [3]


def test_switch_leaves_out_a_busy_camera_and_stays_where_all_others_are(cameras):
    begin(cameras)
    cameras.evaluate("devices.busy = [devices.ids[1]]")
    switch(cameras)
    cameras.evaluate("devices.busy = devices.ids.slice(0, 2)")
    switch(cameras)
    assert opened(cameras) == [1, 3, 3]


def test_where_all_cameras_are_busy_it_is_said(cameras):
    cameras.evaluate("devices.busy = devices.ids")
    cameras.locator("[data-do=start]").click()
    cameras.wait_for_selector(NOTE.format("in use by another program"))
    assert cameras.locator("[data-do=photo]").is_visible()


def test_only_new_pictures_are_asked_about_and_it_goes_on_with_the_next_one(cameras):
    begin(cameras)
    answer(cameras, face(1))
    cameras.evaluate("devices.drawing = false")
    hold_when(cameras, SILENT)  # after a longer silence the camera is opened anew
    assert cameras.locator(".em-targets button").count() == 0  # what was said is no longer true
    sent = cameras.evaluate("exchange.sent.length")
    cameras.wait_for_timeout(300)
    assert cameras.evaluate("exchange.sent.length") == sent
    cameras.evaluate("devices.drawing = true")
    cameras.wait_for_selector(".em-targets button")
    assert cameras.locator(".em-note").is_hidden()
    assert opened(cameras) == [1]


def test_a_camera_that_fell_silent_is_opened_anew(cameras):
    begin(cameras)
    answer(cameras, face(1))
    cameras.evaluate("devices.drawing = false; setPace(4)")
    hold_when(cameras, "devices.opened.length === 2 && (devices.drawing = true)")
    cameras.wait_for_selector(".em-targets button")
    assert opened(cameras) == [1, 1]


def test_a_camera_that_a_call_has_muted_is_opened_anew_on_return(cameras):
    begin(cameras)
    answer(cameras, face(1))
    cameras.evaluate("devices.muted = true; devices.track.dispatchEvent(new Event('mute'))")
    cameras.wait_for_selector(NOTE.format("No new pictures come"))
    assert opened(cameras) == [1]
    cameras.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    cameras.wait_for_function("devices.opened.length === 2")
    cameras.evaluate("devices.muted = false")
    cameras.wait_for_selector(".em-targets button")


def test_the_visitor_can_open_a_silent_camera_anew(cameras):
    begin(cameras)
    cameras.evaluate("devices.muted = true")
    cameras.get_by_role("button", name="Start the camera again").click()
    cameras.wait_for_function("devices.opened.length === 2")


def test_a_video_that_the_system_paused_is_played_on(cameras):
    begin(cameras)
    answer(cameras, face(1))
    cameras.evaluate("document.querySelector('.em-stage video').pause()")
    cameras.wait_for_function("!document.querySelector('.em-stage video').paused")
    cameras.wait_for_selector(".em-targets button")


def test_a_browser_that_scrambles_pictures_is_said(cameras):
    cameras.evaluate(
        """() => {
          const blank = Object.assign(document.createElement("canvas"), { width: 128, height: 16 });
          const white = blank.toDataURL("image/png");
          window.unscrambled = HTMLCanvasElement.prototype.toDataURL;
          HTMLCanvasElement.prototype.toDataURL = () => white;
        }"""
    )
    cameras.locator("[data-do=start]").click()
    cameras.wait_for_selector(NOTE.format("scrambles the pictures"))
    assert cameras.evaluate("devices.track.readyState") == "ended"
    cameras.evaluate("() => { HTMLCanvasElement.prototype.toDataURL = unscrambled; }")


def test_a_browser_inside_another_app_is_told_from_an_insecure_address(cameras):
    cameras.evaluate(
        "Object.defineProperty(navigator, 'mediaDevices', { value: undefined, configurable: true })"
    )
    cameras.locator("[data-do=start]").click()
    cameras.wait_for_selector(NOTE.format("inside other apps"))
    cameras.evaluate("delete navigator.mediaDevices")


def mirrored(page) -> bool:
    return page.locator(".em-stage video").evaluate("(v) => v.classList.contains('em-mirrored')")


def test_each_camera_remembers_whether_it_is_a_mirror(cameras):
    begin(cameras)
    mirror = cameras.get_by_label("Mirror", exact=True)
    assert (mirror.is_checked(), mirrored(cameras)) == (True, True)
    mirror.uncheck()
    assert not mirrored(cameras)
    switch(cameras)
    assert (mirror.is_checked(), mirrored(cameras)) == (False, False)  # it looks away from us
    mirror.check()
    switch(cameras)
    switch(cameras)
    assert not mirrored(cameras)
    switch(cameras)
    assert mirrored(cameras)


def take_photo(page, open_tab) -> None:
    open_tab(page, "Photo")
    page.get_by_role("button", name="Take a photo").click()
    page.wait_for_function("devices.opened.length === 1")
    page.wait_for_function("document.activeElement.dataset.do === 'shoot'")


def test_the_photo_camera_goes_off_when_its_tab_is_left(cameras, open_tab):
    take_photo(cameras, open_tab)
    open_tab(cameras, "About")
    cameras.wait_for_function("devices.track.readyState === 'ended'")
    open_tab(cameras, "Photo")
    expect(cameras.get_by_role("button", name="Take a photo")).to_be_visible()


def test_a_photo_camera_that_was_disconnected_is_said(cameras, open_tab):
    take_photo(cameras, open_tab)
    cameras.evaluate("devices.track.dispatchEvent(new Event('ended'))")
    expect(cameras.locator("#photo .em-error")).to_contain_text("was disconnected")


STILL = """async (selector) => {
  const video = document.querySelector(selector);
  let newest = performance.now();
  const came = () => {
    newest = performance.now();
    video.requestVideoFrameCallback(came);
  };
  video.requestVideoFrameCallback(came);
  while (performance.now() - newest < 300) await new Promise(requestAnimationFrame);
}"""
"""Waits until the pictures that were on their way to a video have come."""


def test_no_old_picture_is_taken_for_a_photo_and_a_new_one_as_it_was_seen(cameras, open_tab):
    take_photo(cameras, open_tab)
    cameras.evaluate(
        """() => {
          devices.drawing = false;
          exchange.answer = { error: "photo_busy" };
          const toBlob = HTMLCanvasElement.prototype.toBlob;
          HTMLCanvasElement.prototype.toBlob = function (...rest) {
            window.leftEdge = [...this.getContext("2d").getImageData(20, 20, 1, 1).data];
            toBlob.apply(this, rest);
          };
        }"""
    )
    cameras.evaluate(STILL, "#photo .em-shutter video")
    cameras.get_by_role("button", name="Take it").click()
    cameras.wait_for_selector("#photo .em-error:has-text('No new pictures come')")
    cameras.evaluate("devices.drawing = true")
    cameras.get_by_role("button", name="Take it").click()
    cameras.wait_for_function("window.leftEdge")
    red, _, blue, _ = cameras.evaluate("leftEdge")  # the camera's own left edge is blue
    assert red > blue
