"""The page before Gradio has made its tabs; here Gradio waits until the test lets it go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.browser

SERVER = "localStorage.setItem('emotion-where', '{\"choice\": \"server\"}')"
PLACES = """() => [".em-header", ".em-stage", ".em-start [data-do=start]", ".em-panel", ".em-bars"]
  .map((name) => document.querySelector(name).getBoundingClientRect())
  .map(({ x, y, width, height }) => [x, y, width, height])"""


@dataclass
class Early:
    """A page whose Gradio is held back."""

    page: Page
    held: list[Route] = field(default_factory=list)
    waits: bool = True

    def hold(self, route: Route) -> None:
        """Let a file of Gradio's wait until it may go on."""
        if self.waits:
            self.held.append(route)
        else:
            route.continue_()

    def go_on(self) -> None:
        """Let Gradio make its tabs, and wait until it has."""
        self.waits = False
        for route in self.held:
            route.continue_()
        self.page.wait_for_selector("#early", state="detached")


@pytest.fixture
def early(app, one_face) -> Iterator[Callable[..., Early]]:
    """Open the page as far as it comes without Gradio; nobody complains on the console."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def opened(script: str = SERVER, tab: str = "", **options) -> Early:
            context = stack.enter_context(one_face.new_context(locale="en-US", **options))
            page = context.new_page()
            early = Early(page)
            page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.add_init_script(script)
            page.route("**/assets/Blocks-*.js", lambda route: early.hold(route))
            page.goto(app.url + tab)
            page.wait_for_selector("#early")
            return early

        yield opened
    assert complaints == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (1280, 900)])
def test_nothing_moves_when_gradio_comes(early, width, height):
    opened = early(viewport={"width": width, "height": height})
    opened.page.wait_for_load_state("load")
    before = opened.page.evaluate(PLACES)
    opened.page.locator("[data-do=clip]").focus()
    opened.go_on()
    assert opened.page.evaluate(PLACES) == [pytest.approx(place, abs=1) for place in before]
    assert opened.page.evaluate("document.activeElement.dataset.do") == "clip"


def test_the_camera_runs_and_the_server_answers_before_gradio_comes(early):
    opened = early()
    page = opened.page
    page.locator("[data-do=start]").click()
    page.wait_for_function("document.querySelector('.em-stage video').currentTime > 0")
    page.evaluate("document.querySelector('.em-stage video').same = true")
    page.wait_for_selector(".em-targets button", timeout=30_000)
    assert page.locator("#early").count() == 1
    opened.go_on()
    assert page.evaluate(
        "(({ same, paused }) => same && !paused)(document.querySelector('.em-stage video'))"
    )


def test_this_device_answers_before_gradio_does(early):
    opened = early(script=SERVER.replace("server", "device"))
    opened.page.locator("[data-do=start]").click()
    opened.page.wait_for_selector(".em-targets button", timeout=120_000)
    assert opened.page.locator("#early").count() == 1


def test_a_tab_that_is_pressed_early_opens_as_soon_as_it_can(early):
    opened = early()
    page = opened.page
    page.locator("#early [data-tab=photo]").click()
    expect(page.locator(".em-live")).to_be_hidden()
    opened.go_on()
    page.wait_for_selector(".em-photo")
    expect(page.locator("#photo-tab-button")).to_have_attribute("aria-selected", "true")


def test_the_chosen_colours_and_language_are_there_from_the_beginning(early):
    script = "localStorage.setItem('emotion-theme', 'dark');"
    opened = early(script=f"{script} localStorage.setItem('emotion-language', 'de');")
    assert opened.page.evaluate("document.body.classList.contains('dark')")
    assert opened.page.get_by_role("button", name="Kamera starten").is_visible()
