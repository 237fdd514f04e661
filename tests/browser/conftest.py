"""The real app in a process of its own, and a Chromium whose camera plays a clip we drew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser.exchange import EXCHANGE
from tests.support.visit import (
    CAMERA_SIZE,
    PORTRAIT_LEFT,
    PORTRAIT_SIDE,
    PORTRAIT_TOP,
    App,
    camera_flags,
    served,
    write_clip,
)
from tests.support.visit import one_face as one_face_frame

# As patient as everything else that waits for the page; five seconds are few on a busy machine.
expect.set_options(timeout=30_000)

CAMERA_WIDTH, CAMERA_HEIGHT = CAMERA_SIZE
SERVER, DEVICE = {"choice": "server"}, {"choice": "device"}

ASTRONAUT_FACE = np.array([178, 58, 270, 177])
"""The face in ``skimage.data.astronaut``, measured by hand: x0, y0, x1, y1 in its pixels."""


@dataclass
class Visit:
    """A page, and what a good visit must not leave behind."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """``python app.py`` with the embedded weights; its log must hold no traceback in the end."""
    log = tmp_path_factory.mktemp("app") / "app.log"
    with served(log) as running:
        yield running
    assert "Traceback" not in log.read_text("utf-8")


@pytest.fixture(scope="module")
def playwright_driver() -> Iterator[Playwright]:
    # Not for the session: its event loop would run on under tests that start one of their own.
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def launch(playwright_driver: Playwright, chromium_path: str) -> Callable[..., Browser]:
    """Launch Chromium with flags, as a context manager."""

    @contextmanager
    def launched(*flags: str) -> Iterator[Browser]:
        browser = playwright_driver.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", *flags]
        )
        try:
            yield browser
        finally:
            browser.close()

    return launched


def _astronaut() -> np.ndarray:
    from skimage import data

    return data.astronaut()


def _hopper() -> np.ndarray:
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="session")
def face_on_the_left() -> np.ndarray:
    """Where the face lies in the camera's picture: x0, y0, x1, y1 as fractions."""
    scale = PORTRAIT_SIDE / 512
    shift = np.array([PORTRAIT_LEFT, PORTRAIT_TOP] * 2)
    size = np.array([CAMERA_WIDTH, CAMERA_HEIGHT] * 2)
    return (ASTRONAUT_FACE * scale + shift) / size


@pytest.fixture(scope="module")
def one_face(launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose camera shows one face on the left of the picture."""
    clip = write_clip(tmp_path_factory.mktemp("clip") / "one.mjpeg", one_face_frame())
    with launch(*camera_flags(clip)) as browser:
        yield browser


@pytest.fixture(scope="module")
def two_faces(launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose camera shows two faces: the larger one on the right of the picture."""
    frame = Image.new("RGB", (CAMERA_WIDTH, CAMERA_HEIGHT), (190, 186, 180))
    left = Image.fromarray(_astronaut()).crop((60, 0, 400, 340)).resize((280, 280))
    frame.paste(left, (20, 100))
    frame.paste(Image.fromarray(_hopper()).resize((300, 352)), (330, 64))
    clip = write_clip(tmp_path_factory.mktemp("clip") / "two.mjpeg", frame)
    with launch(*camera_flags(clip)) as browser:
        yield browser


@pytest.fixture
def visit(app: App) -> Iterator[Callable[..., Visit]]:
    """Open the page; in the end nobody complained on the console or spoke to another host."""
    with _visits(app) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_visit(app: App, playwright_driver: Playwright) -> Iterator[Callable[..., Visit]]:
    """The same for a page that the tests of a module share; loading one takes seconds."""
    # The driver is asked for so that it ends later: closing the pages needs it.
    with _visits(app) as opened:
        yield opened


@pytest.fixture(scope="module")
def own_server(shared_visit, one_face: Browser) -> Visit:
    """A page whose server is the test's own, with the functions of ``tests.browser.exchange``."""
    return shared_visit(one_face, script=EXCHANGE)


@contextmanager
def _visits(app: App) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def opened(
        browser: Browser, *, url: str | None = None, script: str = "", place=SERVER, **context
    ) -> Visit:
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **context}
        page = browser.new_context(**options).new_page()
        seen = Visit(page)
        page.on("console", lambda m: m.type == "error" and seen.complaints.append(m.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", lambda request: _check_host(request.url, url or app.url, seen))
        # Most tests are about the server's answers; those of the device choose it.
        page.add_init_script(f"localStorage.setItem('emotion-where', '{json.dumps(place)}')")
        if script:
            page.add_init_script(script)
        page.goto(url or app.url)
        page.wait_for_selector("#early", state="detached")  # then Gradio has made its tabs
        page.wait_for_selector(".loading", state="detached")  # Gradio's own, over the whole page
        visits.append(seen)
        return seen

    yield opened
    for seen in visits:
        if not seen.page.is_closed():
            # Else a request that is being answered fails in the next test.
            seen.page.unroute_all(behavior="ignoreErrors")
        seen.page.context.close()
    assert [complaint for seen in visits for complaint in seen.complaints] == []


def _check_host(url: str, own: str, seen: Visit) -> None:
    if not url.startswith((own, "data:", "blob:")):
        seen.complaints.append(f"request to another host: {url}")


@pytest.fixture(scope="session")
def open_tab() -> Callable[[Page, str], None]:
    """Open a tab by its English name and wait for what it holds."""

    def opened(page: Page, name: str) -> None:
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_selector(f".em-{name.lower()}")

    return opened


@pytest.fixture(scope="session")
def start() -> Callable[[Page], None]:
    """Start the camera and wait for the first face."""

    def started(page: Page) -> None:
        page.locator("[data-do=start]").click()
        page.wait_for_selector(".em-targets button", timeout=30_000)

    return started
