"""A recording of the Live tab: what it keeps, for how long, and its two files."""

from __future__ import annotations

import csv
import io
import re
from itertools import pairwise

import pytest
from PIL import Image

from emotion.labels import LABELS
from tests.browser.exchange import SURE, UNDECIDED, answer, face, hold_when
from tests.browser.test_page import violations

pytestmark = pytest.mark.browser

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 844}


@pytest.fixture
def page(own_server):
    """That page with the camera running and nothing recorded."""
    page = own_server.page
    page.set_viewport_size(DESKTOP)
    begin(page)
    yield page
    page.evaluate("setPace(1)")
    if page.locator("[data-do=stop]").is_visible():
        page.locator("[data-do=stop]").click()
    discard_at_once(page)


def discard_at_once(page) -> None:
    """Press until it is done; between two clicks of the test's own the question may have gone."""
    page.evaluate(
        """() => {
          const button = document.querySelector("[data-do=discard]");
          const { dataset } = document.querySelector(".em-session");
          while (dataset.recording !== "none") button.click();
        }"""
    )
    page.wait_for_selector(".em-session[data-recording=none]", state="attached")


def begin(page) -> None:
    page.locator("[data-do=start]").click()
    page.wait_for_selector(".em-live[data-state=running]")


def record(page, name: str = "Record") -> None:
    page.get_by_role("button", name=name, exact=True).click()


def table(page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Table (CSV)").click()
    assert download.value.suggested_filename.startswith("emotion-session-")
    return list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))


def wait_for(page, length: int, *, pace: float = 5, then: float = 1) -> None:
    """Wait on a clock that may run fast until the recording says that it is that long."""
    page.evaluate("(pace) => setPace(pace)", pace)
    said = "document.querySelector('.em-session time').textContent"
    hold_when(page, f"{said} >= '0:{length:02}'", pace=then)


def test_the_table_has_a_line_for_each_face_and_moment(page):
    calm = {"calm": 0.25, "sure": True}
    # In a mirror, what the camera has on its right is on the left, and the first.
    answer(page, face(1, 0.6, **calm), face(2, 0.1, probabilities=UNDECIDED, sure=False))
    record(page)
    wait_for(page, 2)
    rows = table(page)
    assert list(rows[0]) == ["time", "face", *LABELS, "calm", "sure", "marker"]
    one, two = ([row for row in rows if row["face"] == number] for number in "12")
    assert [float(one[0][name]) for name in LABELS] == SURE
    assert [float(two[0][name]) for name in LABELS] == UNDECIDED
    assert [one[0]["calm"], one[0]["sure"]] == ["0.2500", "1"]
    assert [two[0]["calm"], two[0]["sure"]] == ["", "0"]
    times = [float(row["time"]) for row in one]
    assert all(after - before >= 0.19 for before, after in pairwise(times))
    assert 2 <= times[-1] < 10


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_a_recording_fits_and_is_accessible(page, size):
    page.set_viewport_size(size)
    answer(page, face(1), face(2, 0.6))
    record(page)
    wait_for(page, 1)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for name in ("Pause", "Set marker", "Table (CSV)", "Picture (PNG)", "Discard"):
        box = page.get_by_role("button", name=name).bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= size["width"]


def test_while_paused_nothing_is_recorded_and_its_clock_stands_still(page):
    answer(page, face(1))
    record(page)
    wait_for(page, 1)
    record(page, "Pause")
    before = table(page)
    answer(page, face(1, probabilities=UNDECIDED))
    assert table(page) == before
    page.evaluate("window.paused = performance.now(); setPace(8)")
    hold_when(page, "performance.now() - paused > 4000", pace=1)
    record(page, "Go on")
    wait_for(page, 2, pace=2)
    after = table(page)
    assert after[: len(before)] == before
    assert float(after[len(before)]["time"]) - float(before[-1]["time"]) < 2


def test_a_marker_is_set_with_a_note_by_keyboard_and_stands_in_the_table(page):
    answer(page, face(1))
    record(page)
    page.get_by_label("Note").fill('=1+1, "quoted"')
    page.keyboard.press("Enter")
    (line,) = page.locator(".em-marks li").all_inner_texts()
    assert re.fullmatch(r'1 · 0:\d\d · =1\+1, "quoted"', line)
    assert page.get_by_label("Note").input_value() == ""
    (marker,) = [row for row in table(page) if row["marker"]]
    assert marker["marker"] == '\'=1+1, "quoted"'  # no formula for a spreadsheet
    assert marker["face"] == ""


def reach(page) -> float:
    """How far to the right the timeline shows anything, as a part of its width."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector(".em-session canvas");
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          let right = 0;
          for (let i = 0; i < data.length; i += 4)
            if (data[i] - data[i + 2] > 100) right = Math.max(right, (i >> 2) % width); // orange
          return right / width;
        }"""
    )


def test_the_timeline_grows_to_its_width(page):
    answer(page, face(1))
    record(page)
    wait_for(page, 2, pace=2, then=0)
    assert 0.05 < reach(page) < 0.7
    wait_for(page, 12, then=0)
    assert reach(page) > 0.8
    label = page.locator(".em-session canvas").get_attribute("aria-label")
    assert label.startswith("Recording of 0:1")
    assert label.endswith("mostly Happiness")


def test_stop_another_tab_and_a_reload_lose_nothing(page, open_tab):
    answer(page, face(1, sure=True))
    record(page)
    wait_for(page, 1)
    page.get_by_label("Note").fill("here")
    page.keyboard.press("Enter")
    page.locator("[data-do=stop]").click()
    kept = table(page)
    assert len(kept) >= 2
    begin(page)
    open_tab(page, "Photo")
    page.wait_for_selector(".em-live[data-state=idle]", state="attached")
    open_tab(page, "Live")
    assert table(page) == kept
    page.reload()
    page.wait_for_selector(".em-session[data-recording=paused]")
    assert table(page) == kept
    begin(page)
    record(page, "Go on")


def test_a_face_after_stop_does_not_continue_the_curve_of_another(page):
    answer(page, face(1), face(2, 0.6))
    record(page)
    wait_for(page, 1)
    page.locator("[data-do=stop]").click()
    before = len(table(page))
    page.evaluate("(face) => { exchange.answer.faces = [face]; }", face(7))
    begin(page)
    record(page, "Go on")
    wait_for(page, 2)
    assert {row["face"] for row in table(page)[before:]} == {"3"}


def test_the_picture_shows_all_faces_and_nothing_is_sent_for_either_file(page):
    answer(page, face(1), face(2, 0.6))
    record(page)
    wait_for(page, 1)
    record(page, "Pause")
    requests: list[str] = []
    listener = lambda request: requests.append(request.url)  # noqa: E731
    page.on("request", listener)
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture (PNG)").click()
    table(page)
    page.remove_listener("request", listener)
    picture = Image.open(download.value.path())
    assert picture.width == 1600
    assert picture.height > 2 * 6 * 34
    assert [url for url in requests if not url.startswith("blob:")] == []


def test_it_goes_on_while_its_picture_is_scrolled_away(page):
    answer(page, face(1))
    record(page)
    page.set_viewport_size({**PHONE, "height": 300})
    page.locator("[data-do=csv]").scroll_into_view_if_needed()
    video = page.locator(".em-stage video").bounding_box()
    assert video["y"] + video["height"] < 0
    before = len(table(page))
    page.wait_for_function("window.before = exchange.sent.length")
    page.wait_for_function("exchange.sent.length > before + 4", timeout=20_000)
    assert len(table(page)) > before
    assert page.locator(".em-note").is_hidden()


def test_discard_asks_first(page):
    answer(page, face(1))
    record(page)
    discard = page.locator("[data-do=discard]")
    discard.click()
    assert discard.inner_text() == "Really discard?"
    assert len(table(page)) >= 1
    discard_at_once(page)
    assert page.evaluate("sessionStorage.getItem('emotion-session')") is None
