from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion.analyzer import Analyzer
from tests.browser.test_page import violations

pytestmark = pytest.mark.browser

PUT = """([name, bytes, event]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const target = event === "paste" ? document : document.querySelector(".em-drop");
  target.dispatchEvent(event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def upload(page, content: bytes, name: str = "portrait.png") -> None:
    # A file on disk: nine megabytes in the driver's own messages kept it busy for half an hour. The
    # folder goes with the session's.
    file = Path(tempfile.mkdtemp(dir=os.environ["HF_HOME"])) / name
    file.write_bytes(content)
    page.set_input_files(".em-photo input[type=file]", file)


def wait_for_cards(page) -> None:
    """Wait until the first card is there, its picture too."""
    page.wait_for_selector(".em-photo[data-state=result] .em-face", timeout=120_000)
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector(".em-crop canvas");
          const { width, height } = canvas;
          return canvas.getContext("2d").getImageData(0, 0, width, height).data.some(Boolean);
        }"""
    )


@pytest.fixture(scope="module")
def visited(shared_visit, one_face, open_tab):
    """One page for all tests of the module, its Photo tab open."""
    seen = shared_visit(one_face)
    open_tab(seen.page, "Photo")
    return seen


@pytest.fixture
def page(visited):
    """That page, empty as a visitor finds it."""
    yield visited.page
    visited.page.set_viewport_size({"width": 1280, "height": 900})
    if visited.page.locator("[data-do=another]").is_visible():
        visited.page.locator(".em-toolbar").get_by_label("Evidence", exact=True).check()
        spotlight = visited.page.locator(".em-toolbar").get_by_role("button", name="Spotlight")
        if spotlight.get_attribute("aria-pressed") != "true":
            spotlight.click()
        visited.page.locator("[data-do=another]").click()


def crop_pixels(page) -> np.ndarray:
    """The first card's picture as drawn, heat included."""
    numbers = page.evaluate(
        """() => {
          const canvas = document.querySelector(".em-crop canvas");
          return [...canvas.getContext("2d").getImageData(0, 0, 256, 256).data];
        }"""
    )
    return np.array(numbers).reshape(256, 256, 4)[:, :, :3]


def test_an_uploaded_portrait_shows_label_bars_and_heat(page, astronaut):
    upload(page, png(astronaut))
    wait_for_cards(page)
    assert page.locator(".em-result .em-status").inner_text() == "1 face"
    rows = page.locator(".em-face .em-bars li")
    numbers = [float(row.get_attribute("data-value")) for row in rows.all()]
    assert sum(numbers) == pytest.approx(1, abs=1e-3)
    strongest = rows.nth(int(np.argmax(numbers))).locator(".em-bar-name").inner_text()
    assert page.locator(".em-face h2").inner_text() == strongest
    assert page.locator(".em-face .em-why").inner_text().endswith(".")
    lit = crop_pixels(page)
    assert (lit.max(axis=2) - lit.min(axis=2)).max() < 20  # the crop is grey, and its light white
    page.locator(".em-toolbar").get_by_role("button", name="Spotlight").click()
    coloured = crop_pixels(page)
    assert (coloured.max(axis=2) - coloured.min(axis=2)).max() > 80


def test_the_result_of_an_example_takes_the_focus_that_its_button_had(page):
    page.get_by_role("button", name="Astronaut").focus()
    page.keyboard.press("Enter")
    wait_for_cards(page)
    page.wait_for_function("document.activeElement.dataset.do === 'another'")


def test_six_maps_stand_side_by_side_and_choose_the_class(page):
    page.get_by_role("button", name="Astronaut").click()
    wait_for_cards(page)
    six = page.locator(".em-six button")
    assert six.count() == 6
    assert six.nth(0).get_attribute("aria-pressed") == "true"
    shares = [int(text.removesuffix(" %")) for text in page.locator(".em-share").all_inner_texts()]
    assert 97 <= sum(shares) <= 103
    six.nth(4).click()
    assert six.nth(4).get_attribute("aria-pressed") == "true"
    assert page.locator(".em-faint").inner_text() == "Almost nothing here speaks for Disgust."
    assert page.locator(".em-face select").input_value() == "4"
    six.nth(0).click()
    assert page.locator(".em-faint").is_hidden()


def test_the_smiling_astronaut_is_happy(page):
    page.get_by_role("button", name="Astronaut").click()
    wait_for_cards(page)
    assert page.locator(".em-face h2").inner_text() == "Happiness"


def test_another_class_is_explained_without_asking_the_server(page):
    page.get_by_role("button", name="Grace Hopper").click()
    wait_for_cards(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    seen = set()
    for name in ("Happiness", "Surprise", "Sadness", "Anger", "Disgust", "Fear"):
        page.locator(".em-face select").select_option(label=name)
        label = page.locator(".em-crop canvas").get_attribute("aria-label")
        assert name in label
        seen.add(page.locator(".em-face .em-why").inner_text())
    assert len(seen) > 1
    assert requests == []


def test_the_heat_map_can_be_switched_off(page):
    page.get_by_role("button", name="Astronaut").click()
    wait_for_cards(page)
    page.locator(".em-toolbar").get_by_label("Evidence", exact=True).uncheck()
    grey = crop_pixels(page)
    assert (grey.max(axis=2) - grey.min(axis=2)).max() == 0


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_picture_can_be_pasted_and_dropped(page, astronaut, event):
    page.evaluate(PUT, ["face.png", list(png(astronaut[20:220, 120:320])), event])
    wait_for_cards(page)
    assert page.locator(".em-face").count() == 1


def test_a_photo_can_be_taken_with_the_camera(page):
    page.get_by_role("button", name="Take a photo").click()
    page.wait_for_function("document.querySelector('.em-shutter video').videoWidth > 0")
    page.get_by_role("button", name="Take it").click()
    wait_for_cards(page)
    assert page.evaluate("document.querySelector('.em-shutter video').srcObject") is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a picture"),
        (b"this is a text", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "picture"),
        (b"\0" * 9_000_000, "larger than 8 MB"),
    ],
)
def test_a_broken_upload_gets_a_sentence_and_a_second_try(page, astronaut, content, sentence):
    upload(page, content)
    error = page.locator(".em-error")
    error.wait_for()
    assert sentence in error.inner_text()
    upload(page, png(astronaut))
    wait_for_cards(page)
    assert error.is_hidden()


def test_a_picture_without_a_face_offers_to_take_all_of_it(page):
    upload(page, png(np.full((200, 300, 3), 90, np.uint8)))
    page.wait_for_selector(".em-error:has-text('No face was found')")
    page.get_by_role("button", name="Treat the whole picture as a face").click()
    wait_for_cards(page)
    assert "taken as one face" in page.locator(".em-result .em-status").inner_text()


def test_a_crowd_is_summed_up_and_gets_a_thumbnail_each_and_one_card(page, astronaut):
    upload(page, png(np.tile(astronaut[20:210, 130:320], (4, 6, 1))))
    wait_for_cards(page)
    words = page.locator(".em-result .em-status").inner_text()
    assert words == "24 faces. The 20 largest: 20 happiness"
    thumbnails = page.locator("#photo .em-strip button")
    assert thumbnails.count() == 20
    assert page.locator(".em-face").count() == 1
    thumbnails.nth(19).focus()
    page.keyboard.press("Enter")
    assert thumbnails.nth(19).get_attribute("aria-pressed") == "true"
    assert page.locator(".em-face .em-number").inner_text() == "20"
    assert page.locator(".em-face").count() == 1
    name = page.locator(".em-face select").get_attribute("aria-label")
    assert name == "Explain face 20"


def test_on_a_phone_only_the_chosen_one_of_a_crowd_has_a_number(page, astronaut):
    page.evaluate(
        """() => {
          const { fillText } = CanvasRenderingContext2D.prototype;
          CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
            if (this.canvas.closest(".em-picture")) window.numbers.push(text);
            fillText.call(this, text, ...place);
          };
          window.numbers = [];
        }"""
    )
    upload(page, png(np.tile(astronaut[20:210, 130:320], (4, 6, 1))))
    wait_for_cards(page)
    page.wait_for_function("new Set(numbers).size === 20")
    page.set_viewport_size({"width": 390, "height": 844})
    drawn = (
        page.locator("#photo .em-strip button")
        .nth(4)
        .evaluate(
            # At once, since the picture may just be drawn anew in its new size.
            "(button) => { numbers.length = 0; button.click(); return [...new Set(numbers)]; }"
        )
    )
    assert drawn == ["5"]


@pytest.mark.parametrize("width", [390, 1280])
def test_faces_are_numbered_row_by_row_and_a_tapped_one_shows_its_card(page, astronaut, width):
    page.set_viewport_size({"width": width, "height": 844})
    upload(page, png(np.tile(astronaut[20:210, 130:320], (2, 3, 1))))
    wait_for_cards(page)
    page.wait_for_function("document.querySelectorAll('#photo .em-targets button').length === 6")
    targets = page.locator("#photo .em-targets button").all()
    places = [target.bounding_box() for target in targets]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in places]
    rows = [middles[:3], middles[3:]]
    assert all(row == sorted(row, key=lambda middle: middle[0]) for row in rows)
    assert max(y for _, y in rows[0]) < min(y for _, y in rows[1])
    targets[4].click()
    assert page.locator(".em-face .em-number").inner_text() == "5"
    assert page.locator("#photo .em-strip button").nth(4).get_attribute("aria-pressed") == "true"
    assert violations(page) == []


def test_an_unreachable_server_is_said_in_a_sentence(page, visited, astronaut):
    page.route("**/component_server/**", lambda route: route.abort())
    upload(page, png(astronaut))
    page.wait_for_selector(".em-error:has-text('does not answer')")
    page.unroute("**/component_server/**")
    # The browser itself logs a failed request; nothing else may be there.
    assert all("ERR_FAILED" in complaint for complaint in visited.complaints)
    visited.complaints.clear()


def test_save_downloads_the_photo_with_boxes(page, astronaut):
    upload(page, png(astronaut))
    wait_for_cards(page)
    with page.expect_download() as download:
        page.locator(".em-toolbar").get_by_role("button", name="Save").click()
    picture = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    assert picture.shape == (512, 512, 3)
    changed = np.abs(picture - astronaut).max(axis=2) > 60
    assert changed[50:190, 170:280].mean() > 0.05
    assert changed[300:].mean() < 0.01


def first_bar(page) -> float:
    return float(page.locator(".em-face .em-bars li").first.get_attribute("data-value"))


def wait_for_covered(page, said: str) -> None:
    page.wait_for_function(
        "said => document.querySelector('.em-covers p').textContent.includes(said)", arg=said
    )


def test_a_part_is_covered_by_its_chip_and_the_bars_answer(page, astronaut):
    page.get_by_role("button", name="Astronaut").click()
    wait_for_cards(page)
    before = first_bar(page)
    said = page.locator(".em-face .em-why").inner_text()
    mouth = page.get_by_role("button", name="Mouth")
    mouth.focus()
    page.keyboard.press("Enter")
    wait_for_covered(page, "Mouth covered: Happiness")
    assert mouth.get_attribute("aria-pressed") == "true"
    after = first_bar(page)
    assert after < before - 0.05
    analyzer = Analyzer.from_weights()
    test = analyzer.explain(analyzer.analyze(astronaut)[0])
    assert said == str(test.finding())
    page.get_by_role("button", name="Uncover").click()
    assert first_bar(page) == before
    assert mouth.get_attribute("aria-pressed") == "false"


def test_any_place_is_covered_with_the_brush(page):
    page.get_by_role("button", name="Astronaut").click()
    wait_for_cards(page)
    before, uncovered = first_bar(page), crop_pixels(page)
    page.get_by_role("button", name="Brush").click()
    place = page.locator(".em-crop canvas").bounding_box()
    left, top, width = place["x"], place["y"], place["width"]
    page.mouse.move(left + 0.25 * width, top + 0.8 * width)
    page.mouse.down()
    for step in range(1, 7):
        page.mouse.move(
            left + (0.25 + 0.08 * step) * width, top + (0.8 + 0.02 * (step % 2)) * width
        )
    page.mouse.up()
    wait_for_covered(page, "Covered by hand")
    assert first_bar(page) != before
    changed = np.abs(crop_pixels(page).astype(int) - uncovered).max(axis=2) > 30
    assert changed[180:230, 80:200].any()
    page.get_by_role("button", name="Uncover").click()
    assert first_bar(page) == before
