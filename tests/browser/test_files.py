"""Files that visitors give: photos of any size, many pictures, videos; and what stands around."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_page import violations
from tests.ui.test_clips import TIMES, write_clip

pytestmark = pytest.mark.browser

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PICTURES = ".em-photo input[type=file]:not([data-folder])"
IDLE = ".em-photo[data-state=idle]"


@pytest.fixture(scope="module")
def visited(shared_visit, one_face):
    """One page for all tests of the module."""
    return shared_visit(one_face)


@pytest.fixture
def page(visited):
    """That page; what the browser says about refused requests is no fault of ours."""
    yield visited.page
    assert all("status of 4" in complaint for complaint in visited.complaints)
    visited.complaints.clear()


@pytest.fixture
def photo(page, open_tab):
    """The Photo tab, empty."""
    open_tab(page, "Photo")
    another = page.locator(".em-photo :is([data-do=another], [data-do=others]):visible")
    if another.count():
        another.click()
    page.wait_for_selector(IDLE)
    return page


@pytest.fixture(scope="module")
def folder() -> Path:
    """Not pytest's own: a browser may still read from it when the test is over."""
    return Path(tempfile.mkdtemp(dir=os.environ["HF_HOME"]))


def saved(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def check_sizes(page) -> None:
    """What is on the page now fits a phone and a desktop, and axe finds nothing on either."""
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def said_while(page, state: str, status: str, act) -> list[str]:
    """Collect what a live region says until the state of its section ends."""
    page.evaluate(
        """([status]) => {
          window.said = [];
          const node = document.querySelector(status);
          new MutationObserver(() => window.said.push(node.textContent))
            .observe(node, { childList: true, characterData: true, subtree: true });
        }""",
        [status],
    )
    act()
    page.wait_for_function(state, timeout=60_000)
    return page.evaluate("window.said.filter(Boolean)")


def test_a_photo_beyond_the_limits_is_shrunk_and_its_original_shown(photo, astronaut, folder):
    noise = np.random.default_rng(0).integers(-14, 14, (2000, 2000, 3))
    large = np.asarray(Image.fromarray(astronaut).resize((2000, 2000))).astype(int) + noise
    file = saved(folder / "large.png", large.clip(0, 255).astype(np.uint8), compress_level=1)
    assert file.stat().st_size > 8 * 1024**2
    said = said_while(
        photo,
        "document.querySelector('.em-photo').dataset.state === 'result'",
        ".em-busy [role=status]",
        lambda: photo.set_input_files(PICTURES, file),
    )
    assert said[:2] == ["Sending the picture …", "Making the picture smaller …"]
    assert said[-1] == "Looking for faces …"
    assert photo.locator("#photo .em-face h2").first.inner_text() == "Happiness"
    with photo.expect_download() as download:
        photo.locator(".em-photo .em-toolbar [data-do=save]:visible").click()
    assert Image.open(download.value.path()).size == (2000, 2000)


@pytest.mark.parametrize(("width", "height"), [(7000, 6000)])
def test_a_shrunk_photo_keeps_a_side_of_4096_px(photo, width, height):
    most = {"bytes": 8 * 1024**2, "pixels": 40_000_000}
    size = photo.evaluate(
        """async ([width, height, most]) => {
          const canvas = new OffscreenCanvas(width, height);
          canvas.getContext("2d").fillRect(0, 0, width / 2, height);
          const fitting = await emotionPage.fit(await canvas.convertToBlob(), most);
          const bitmap = await createImageBitmap(fitting);
          return [bitmap.width, bitmap.height, fitting.size];
        }""",
        [width, height, most],
    )
    assert size[0] * size[1] <= 4096**2
    assert size[0] >= 4096
    assert size[0] / size[1] == pytest.approx(width / height, rel=0.01)
    assert size[2] <= most["bytes"]


def test_many_pictures_get_a_table_that_sorts_and_a_csv_file(photo, astronaut, folder):
    files = [
        saved(folder / "one.png", astronaut),
        saved(folder / "three, in a row.jpg", np.tile(astronaut[20:210, 130:320], (1, 3, 1))),
        saved(folder / "=teal.png", np.full((200, 300, 3), (0, 128, 128), np.uint8)),
        folder / "broken.jpg",
        folder / "notes.txt",
    ]
    for broken in files[3:]:
        broken.write_text("nothing")
    photo.set_input_files(PICTURES, files)
    photo.wait_for_selector("[data-many=csv]:enabled", timeout=60_000)
    status = photo.locator(".em-told").inner_text()
    assert status.startswith("3 pictures, 4 faces · 1 without a face · 2 failed")
    failed = photo.locator(".em-failed li").all_inner_texts()
    assert [line.split()[0] for line in failed] == ["notes.txt", "broken.jpg"]
    assert photo.locator(".em-scroll tbody tr").count() == 5
    check_sizes(photo)
    table = photo.locator(".em-scroll")
    for size in (PHONE, DESKTOP):
        photo.set_viewport_size(size)
        assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth")
    head = photo.locator("th[data-sort=happiness]")
    values = []
    for _ in range(2):
        head.locator("button").press("Enter")
        values.append(photo.locator(".em-scroll tbody tr td:nth-child(6)").all_inner_texts())
    assert head.get_attribute("aria-sort") == "ascending"
    assert values[0][-1] == values[1][-1] == ""  # what has no face stays last
    numbers = [[int(text.removesuffix(" %")) for text in column[:-1]] for column in values]
    assert numbers[0] == sorted(numbers[0], reverse=True)
    assert numbers[1] == sorted(numbers[1])
    with photo.expect_download() as download:
        photo.locator("[data-many=csv]").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    assert [(row["filepath"], row["face"]) for row in rows] == [
        ("one.png", "1"),
        *(("three, in a row.jpg", str(face)) for face in (1, 2, 3)),
        ("'=teal.png", ""),  # no formula for a spreadsheet
    ]
    assert float(rows[0]["happiness"]) > 0.9
    photo.locator(".em-scroll tbody button", has_text="one.png").click()
    photo.wait_for_selector(".em-photo[data-state=result] .em-face", timeout=30_000)
    photo.locator("[data-do=back]").click()
    expect(photo.locator(".em-scroll")).to_be_visible()


DROP_FOLDER = """(names) => {
  const file = (name) => ({
    isFile: true, isDirectory: false, fullPath: `/holiday/${name}`,
    file: (found) => found(new File(["x"], name, { type: "text/plain" })),
  });
  let handed = false;
  const folder = {
    isFile: false, isDirectory: true,
    createReader: () => ({
      readEntries: (found) => { found(handed ? [] : names.map(file)); handed = true; },
    }),
  };
  const event = new Event("drop", { bubbles: true, cancelable: true });
  event.dataTransfer = { items: [{ webkitGetAsEntry: () => folder }], files: [] };
  document.querySelector(".em-drop").dispatchEvent(event);
}"""


def test_a_dropped_folder_is_gone_through_and_nothing_is_left_out_silently(photo):
    photo.evaluate(DROP_FOLDER, ["a.txt", "b.txt", "c.txt"])
    photo.wait_for_selector(".em-failed:not([hidden])")
    failed = photo.locator(".em-failed li").all_inner_texts()
    assert failed == [f"holiday/{name}.txt is no picture." for name in "abc"]


def test_a_stalled_upload_is_said_and_can_be_cancelled(photo, astronaut, folder):
    photo.route("**/component_server/**", lambda route: None)  # it never goes anywhere
    photo.set_input_files(PICTURES, saved(folder / "stalled.png", astronaut))
    photo.wait_for_selector(".em-photo[data-state=working]")
    status = photo.locator(".em-photo .em-busy [role=status]")
    assert status.is_visible()
    assert status.inner_text().startswith(("Sending", "Looking"))
    photo.locator(".em-photo [data-do=halt]").press("Enter")
    photo.wait_for_selector(IDLE)
    assert photo.evaluate("document.activeElement.dataset.do") == "choose"
    assert status.text_content() == ""
    photo.unroute("**/component_server/**")


def test_an_upload_that_does_not_move_ends_by_itself(visit, one_face, open_tab, astronaut, folder):
    page = visit(one_face).page  # its own: the clock of a page stays in the test's hand
    open_tab(page, "Photo")
    page.route("**/component_server/**", lambda route: None)
    page.clock.install()
    with page.expect_request("**/component_server/**"):
        page.set_input_files(PICTURES, saved(folder / "stalled.png", astronaut))
    for _ in range(100):
        if page.locator(IDLE).count():
            break
        page.clock.run_for(10_000)
    page.wait_for_selector(IDLE)
    error = page.locator(".em-photo .em-error").inner_text()
    assert error.startswith(("Nothing has been sent", "The server takes too long"))


def test_a_page_that_was_renewed_says_so(page):
    newer = {"x-page": "newer"}
    page.route("**/", lambda route: route.fulfill(status=200, headers=newer, body=""))
    page.evaluate("window.emotionPage.lookForNewer()")
    page.wait_for_selector(".em-renewed:has-text('This page was renewed.')")
    assert page.get_by_role("button", name="Reload").is_visible()
    page.unroute("**/")
    page.evaluate("document.querySelector('.em-renewed').remove()")


def test_a_video_is_played_with_its_faces_and_a_plot_that_seeks(page, open_tab, folder):
    open_tab(page, "Video")
    clip = write_clip(folder / "smile.mp4")
    page.set_input_files(".em-video input[type=file]", clip)
    page.wait_for_selector(".em-video[data-state=done]", timeout=60_000)
    status = page.locator(".em-video .em-status").inner_text()
    assert status == f"{len(TIMES)} frames · faces: 1"
    assert page.locator("#video .em-face h2").inner_text() == "Happiness"
    check_sizes(page)
    drawn = """() => {
      const canvas = document.querySelector(".em-frame canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value, at) => at % 4 === 3 && value);
    }"""
    assert page.evaluate(drawn)
    plot = page.locator(".em-plot canvas")
    plot.scroll_into_view_if_needed()
    size = plot.bounding_box()
    plot.click(position={"x": size["width"] / 2, "y": size["height"] / 2})
    moment = "document.querySelector('.em-frame video').currentTime"
    assert page.evaluate(moment) == pytest.approx(TIMES[-1] / 2000, abs=0.05)
    page.locator(".em-plot input").press("Home")
    assert page.evaluate(moment) == pytest.approx(0, abs=0.01)
    assert "Happiness" in plot.get_attribute("aria-label")
    with page.expect_download() as download:
        page.locator(".em-video [data-do=csv]").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    assert [round(1000 * float(row["time"])) for row in rows] == TIMES
    with page.expect_download() as download:
        page.locator(".em-video [data-do=copy]").click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    page.locator(".em-video [data-do=another]").click()
    page.wait_for_selector(".em-video[data-state=idle]")


def test_a_file_that_is_no_video_gets_one_sentence(page, open_tab, folder):
    open_tab(page, "Video")
    (folder / "no.mp4").write_bytes(b"no video" * 100)
    page.set_input_files(".em-video input[type=file]", folder / "no.mp4")
    page.wait_for_selector(".em-video .em-error:not([hidden])", timeout=30_000)
    assert "not a video that can be read" in page.locator(".em-video .em-error").inner_text()
    assert page.locator(".em-video [data-do=choose]").is_visible()


def test_addresses_name_tabs_and_choices_stay(visited, page, app):
    page.evaluate("location.hash = 'about'")
    page.wait_for_selector(".em-about", state="visible")
    expect(page.get_by_role("tab", name="About")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Photo").click()
    assert page.evaluate("location.hash") == "#photo"
    theme = page.locator("#footer [data-do=theme]")
    theme.select_option("dark")
    assert page.evaluate("document.body.classList.contains('dark')")
    theme.select_option("auto")
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.locator("#footer [data-do=language]").select_option("de")
    page.get_by_role("tab", name="Foto").wait_for()
    page.wait_for_selector(".em-photo", state="visible")  # the tab that was open is open again
    expect(page.locator("#photo h2").first).to_have_text("Bild hier ablegen")
    page.locator("#footer [data-do=language]").select_option("en")
    page.get_by_role("tab", name="Photo", exact=True).wait_for()
