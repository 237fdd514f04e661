"""Films the page for the README: from the first look to the example clip, as a visitor sees it.

python docs/runs/page_in_motion.py docs/page.webp
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.browser import find_browser
from tests.support.visit import served

SIZE = {"width": 1120, "height": 720}
SHOWN = 800, 514  # px in the README
FIRST_LOOK, CLIP = 1.5, 7.0  # seconds
CHOICE = '{"choice": "server"}'
RATE = 8  # pictures a second


def film(url: str) -> list[tuple[Image.Image, int]]:
    """Return pictures of the page and the milliseconds for which each stands."""
    pictures: list[tuple[Image.Image, int]] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, locale="en-US")
        # By the server: the film is of the page, not of how fast this machine's browser is.
        page.add_init_script(f"localStorage.setItem('emotion-where', '{CHOICE}')")
        page.goto(url)
        page.wait_for_selector("#early", state="detached")
        page.wait_for_selector(".loading", state="detached")
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        pictures.append((_shot(page), round(FIRST_LOOK * 1000)))
        page.locator("[data-do=clip]").click()
        page.wait_for_selector(".em-targets button", timeout=60_000)
        page.wait_for_selector(".em-why:not(:empty)", timeout=60_000)
        began = before = time.monotonic()
        while before - began < CLIP:
            picture = _shot(page)
            now = max(time.monotonic(), before + 1 / RATE)
            time.sleep(max(0.0, now - time.monotonic()))
            pictures.append((picture, round((now - before) * 1000)))
            before = now
        browser.close()
    return pictures


def _shot(page: Page) -> Image.Image:
    picture = Image.open(io.BytesIO(page.screenshot(type="jpeg", quality=92)))
    return picture.resize(SHOWN, Image.Resampling.LANCZOS)


def main() -> None:
    """Write the moving picture to the path that is given."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder, "app.log")) as app:
        pictures = film(app.url)
    first, *others = [picture for picture, _ in pictures]
    first.save(
        sys.argv[1],
        save_all=True,
        append_images=others,
        duration=[milliseconds for _, milliseconds in pictures],
        loop=0,
        quality=60,
        method=4,
    )
    print(f"{len(pictures)} pictures, {Path(sys.argv[1]).stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
