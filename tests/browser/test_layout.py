"""What fits on a screen, and what keeps the focus: phones, enlarged pages, contrast themes."""

from __future__ import annotations

import pytest

from tests.browser.test_page import violations

pytestmark = pytest.mark.browser

PHONE, SIDEWAYS, ENLARGED, DESKTOP = (390, 844), (844, 390), (640, 450), (1280, 900)

NO_ROUND_RECT = "delete CanvasRenderingContext2D.prototype.roundRect;"


@pytest.fixture(scope="module")
def page(shared_visit, one_face):
    """A page of an older browser, for all tests of the module; the camera is off."""
    return shared_visit(
        one_face, script=NO_ROUND_RECT, locale="fr-FR", reduced_motion="reduce"
    ).page


@pytest.fixture
def running(page, start):
    """Start the camera by keyboard on a screen of this size."""

    def started(width: int, height: int):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, 0)")
        page.locator("[data-do=start]").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".em-live .em-targets button", timeout=30_000)
        return page

    yield started
    page.locator("[data-do=stop]").click()


def visible_part(page, selector: str) -> float:
    """How much of an element's height is on the screen."""
    return page.locator(selector).evaluate(
        """(element) => {
          const { top, bottom } = element.getBoundingClientRect();
          return (Math.min(bottom, innerHeight) - Math.max(top, 0)) / (bottom - top);
        }"""
    )


@pytest.mark.parametrize("size", [PHONE, SIDEWAYS, ENLARGED, DESKTOP])
def test_start_brings_face_and_answer_onto_the_screen_and_focus_to_freeze(running, size):
    page = running(*size)
    assert visible_part(page, ".em-stage") == 1
    assert visible_part(page, "#live .em-bars") == 1
    assert page.evaluate("document.activeElement.dataset.do") == "freeze"
    controls = page.locator("#live .em-controls button:visible").all()
    heights = {control.bounding_box()["y"] for control in controls}
    assert len(heights) == 1
    assert all(control.bounding_box()["height"] >= 44 for control in controls)


def test_on_a_phone_on_its_side_nothing_stays_empty_under_the_picture(running):
    page = running(*SIDEWAYS)
    stage, record, more = (
        page.locator(part).bounding_box()
        for part in (".em-stage", "#live [data-do=record]", ".em-more")
    )
    assert record["x"] > stage["x"] + stage["width"]
    bottoms = [box["y"] + box["height"] for box in (stage, record)]
    assert 0 <= more["y"] - max(bottoms) <= 20
    assert more["width"] > 1.5 * stage["width"]


def test_the_settings_are_in_a_sheet_on_a_phone_and_escape_closes_it(running):
    page = running(*PHONE)
    button, evidence = (
        page.locator("#live [data-do=settings]"),
        page.locator("#live [data-do=heat]"),
    )
    assert evidence.is_hidden()
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert visible_part(page, "#live .em-sheet") == 1
    assert visible_part(page, ".em-stage") == 1
    assert violations(page) == []
    evidence.uncheck()
    evidence.check()
    page.keyboard.press("Escape")
    assert evidence.is_hidden()
    assert page.evaluate("document.activeElement.dataset.do") == "settings"


def test_the_settings_stand_under_the_picture_where_there_is_room(running):
    page = running(*DESKTOP)
    assert page.locator("#live [data-do=settings]").is_hidden()
    stage, sheet = (page.locator(s).bounding_box() for s in (".em-stage", "#live .em-sheet"))
    assert sheet["x"] == stage["x"]
    assert sheet["width"] == stage["width"]


def test_a_wide_screen_is_used(running):
    page = running(1920, 1080)
    stage, panel = (page.locator(s).bounding_box() for s in (".em-stage", ".em-panel"))
    assert panel["x"] + panel["width"] - stage["x"] > 1500


def test_our_parts_name_the_language_they_are_in(page):
    assert page.evaluate("document.documentElement.lang") == "fr"
    for part in ("header", "live"):
        assert page.locator(f"#{part} [lang=en], #{part}[lang=en]").count() >= 1


def test_nothing_that_changes_with_every_answer_is_a_live_region(running):
    page = running(*DESKTOP)
    page.evaluate(
        """() => {
          window.spoken = 0;
          const seen = new MutationObserver(() => spoken++);
          const regions = "#live :is([role=status], [aria-live=polite], output)";
          for (const region of document.querySelectorAll(regions))
            seen.observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    with page.expect_response("**/frame?*"):
        pass
    for _ in range(6):
        with page.expect_request("**/frame?*"):
            pass
    assert page.evaluate("spoken") <= 1


def test_bars_are_seen_in_a_contrast_theme(page, running):
    page.emulate_media(forced_colors="active")
    running(*DESKTOP)
    bar = page.locator("#live .em-bars li[data-top] .em-bar i")
    assert bar.evaluate("(bar) => getComputedStyle(bar).backgroundColor") == "rgb(230, 159, 0)"
    page.emulate_media(forced_colors="none")


def test_german_words_do_not_touch_their_bars(visit, one_face):
    page = visit(one_face, locale="de-DE", viewport={"width": 390, "height": 844}).page
    for row in page.locator("#live .em-bars li").all():
        row.evaluate("(row) => row.toggleAttribute('data-top', true)")
        name, bar = (row.locator(s).bounding_box() for s in (".em-bar-name", ".em-bar"))
        words = row.locator(".em-bar-name").evaluate(
            "(name) => { const range = document.createRange(); range.selectNodeContents(name);"
            " return range.getBoundingClientRect().right; }"
        )
        assert words <= name["x"] + name["width"] + 0.5
        assert bar["x"] - words >= 6


def test_switching_the_camera_keeps_the_focus(visit, launch):
    flags = ("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream")
    with launch(*flags) as browser:
        page = visit(browser, viewport={"width": 390, "height": 844}).page
        page.locator("[data-do=start]").click()
        page.wait_for_selector(".em-live[data-state=running]")
        page.evaluate(
            """() => {
              window.states = [];
              const section = document.querySelector(".em-live");
              new MutationObserver(() => states.push(section.dataset.state))
                .observe(section, { attributeFilter: ["data-state"] });
            }"""
        )
        page.locator("[data-do=switch]").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("states.at(-1) === 'running'")
        assert page.evaluate("states[0]") == "starting"
        assert page.evaluate("document.activeElement.dataset.do") == "switch"
        page.context.close()
