"""The mirror game: six prompts, the best frame of each, a card to save."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.browser.exchange import answer, face
from tests.browser.test_page import violations

pytestmark = pytest.mark.browser

# Shows each expression clearly at first and then faintly, and hurries where nothing is awaited.
PILOT = """([clear, faint]) => {
  let [prompt, round, first] = ["", -1, 0];
  const board = document.querySelector(".em-game");
  const look = () => {
    const now = document.querySelector(".em-prompt").textContent;
    if (now !== prompt) [prompt, round, first] = [now, round + 1, 0];
    const counts = board.classList.contains("em-counts");
    if (counts) first ||= exchange.sent.length;
    const asked = counts ? exchange.sent.length - first : 0;
    setPace(counts && asked < 5 ? 0.1 : 4);
    const face = (asked < 3 ? clear : faint)[Math.min(round, 5)];
    exchange.answer = { faces: [face], count: 1, ms: 1 };
  };
  const timer = setInterval(look, 10);
  // The clock slows down in the moment that faces begin to count, however busy the page is.
  const seen = new MutationObserver(look);
  seen.observe(board, { attributes: true, subtree: true, childList: true });
  window.endPilot = () => { clearInterval(timer); seen.disconnect(); };
}"""
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 844}
PROMPT = "document.querySelector('.em-prompt').textContent"


@pytest.fixture
def page(own_server):
    """That page with the camera running."""
    page = own_server.page
    page.set_viewport_size(DESKTOP)
    page.locator("[data-do=start]").click()
    page.wait_for_selector(".em-live[data-state=running]")
    yield page
    page.evaluate("() => { window.endPilot?.(); setPace(1); }")
    if page.locator("dialog[open]").count():
        page.keyboard.press("Escape")
    page.locator("[data-do=stop]").click()


def begin(page) -> None:
    page.locator(".em-controls [data-do=game]").click()


def strongest(index: int, share: float) -> list[float]:
    return [share if i == index else (1 - share) / 5 for i in range(6)]


def test_the_best_frame_of_each_of_six_prompts_is_on_the_card(page):
    shown = [0, 1, 2, 3, 4, 1]  # fear is not shown
    clear = [face(1, probabilities=strongest(i, 0.6 + n / 20)) for n, i in enumerate(shown)]
    faint = [face(1, probabilities=strongest(i, 0.3)) for i in shown]
    answer(page, faint[1])
    begin(page)
    page.evaluate(PILOT, [clear, faint])
    page.wait_for_selector("dialog[open]", timeout=120_000)  # thirty answers and six prompts
    said = page.locator(".em-score canvas").get_attribute("aria-label")
    assert said == (
        "5 of 6 recognised, Happiness 60 %, Surprise 65 %, Sadness 70 %, Anger 75 %, "
        "Disgust 80 %, Fear 14 %"
    )
    page.evaluate("() => { endPilot(); setPace(1); }")
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        assert violations(page) == []
        buttons = page.locator("dialog[open] button").all()
        assert all(button.bounding_box()["x"] >= 0 for button in buttons)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the card").click()
    card = Image.open(download.value.path()).convert("RGB")
    for index in range(6):  # the tiles show the camera, not an empty place
        left, top = 30 + index % 3 * 350, 150 + index // 3 * 416
        tile = card.crop((left, top, left + 320, top + 320))
        assert len(tile.resize((32, 32)).getcolors(1024)) > 100
    page.get_by_role("button", name="Close", exact=True).click()
    page.wait_for_function("document.activeElement.dataset.do === 'game'")


def test_without_a_face_the_card_says_so(page):
    answer(page)
    begin(page)
    page.evaluate("setPace(30)")
    page.wait_for_selector("dialog[open]")
    said = page.locator(".em-score canvas").get_attribute("aria-label")
    assert said.startswith("0 of 6 recognised, Happiness – no face")
    page.evaluate("setPace(1)")
    page.get_by_role("button", name="Play again").click()
    page.wait_for_function(f"{PROMPT} === 'Show Happiness'")
    assert page.locator("dialog[open]").count() == 0
    page.locator("[data-do=game-end]").click()


def test_the_game_is_played_and_ended_by_keyboard_and_ends_with_the_camera(page, open_tab):
    page.locator(".em-controls [data-do=game]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".em-game:not([hidden])")
    assert page.evaluate("document.activeElement.dataset.do") == "game-end"
    page.keyboard.press("Enter")
    assert page.locator(".em-game").is_hidden()
    page.wait_for_function("document.activeElement.dataset.do === 'game'")
    begin(page)
    open_tab(page, "Photo")
    page.wait_for_selector(".em-game[hidden]", state="attached")
    open_tab(page, "Live")
    page.locator(".em-start [data-do=play]").click()
    page.wait_for_selector(".em-game:not([hidden])")
    page.locator("[data-do=game-end]").click()


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_the_face_is_not_under_the_prompt(page, size):
    page.set_viewport_size(size)
    begin(page)
    prompt, stage = (page.locator(s).bounding_box() for s in (".em-game", ".em-stage"))
    assert prompt["height"] < 0.3 * stage["height"]
    assert prompt["y"] > stage["y"] + stage["height"] / 2
    page.locator("[data-do=game-end]").click()
