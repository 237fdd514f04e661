"""What the live view does with answers: ours, at once or late, so that no network is needed."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.exchange import (
    EXCHANGE,
    SURE,
    UNDECIDED,
    answer,
    face,
    settle,
    wait_until_quiet,
)
from tests.browser.test_page import violations

pytestmark = pytest.mark.browser


@pytest.fixture
def page(own_server):
    """That page with the camera running and nobody in view."""
    page = own_server.page
    page.evaluate(
        "Object.assign(exchange, { sent: [], most: 0, delay: 0, answer: { faces: [], count: 0 } })"
    )
    page.locator("[data-do=start]").click()
    page.wait_for_selector(".em-live[data-state=running]")
    yield page
    page.context.set_offline(False)
    page.evaluate("setPace(1)")
    page.locator("#live select").select_option("-1")
    page.get_by_role("button", name="Stop").click()


def panel(page) -> list[str]:
    """The lines above the bars."""
    lines = page.locator("#live .em-panel header").inner_text().split("\n")
    return [line for line in lines if line]


def names(page, state: str) -> list[str]:
    return page.locator(f"#live .em-bars li[data-{state}] .em-bar-name").all_inner_texts()


def test_a_sure_answer_names_its_class_and_what_came_next(page):
    answer(page, face(1))
    assert panel(page) == ["Happiness", "80 %", "then Surprise 10 %"]
    assert (names(page, "top"), names(page, "candidate")) == (["Happiness"], [])


def test_nobody_comes_next_with_nothing(page):
    answer(page, face(1, probabilities=[0.998, 0.001, 0.001, 0, 0, 0]))
    assert panel(page) == ["Happiness", "100 %"]


def test_an_unsure_answer_says_so_with_its_two_candidates_and_all_bars(page):
    answer(page, face(1, probabilities=UNDECIDED, answer="not sure"))
    assert panel(page) == ["Not sure", "Surprise 30 % or Anger 26 %"]
    assert (names(page, "top"), names(page, "candidate")) == ([], ["Surprise", "Anger"])
    values = page.locator("#live .em-bar-value").all_inner_texts()
    assert values == ["10 %", "30 %", "15 %", "26 %", "10 %", "9 %"]
    label = page.locator(".em-targets button").get_attribute("aria-label")
    assert label == "Face 1: not sure, Surprise 30 percent or Anger 26 percent"


def test_a_calm_face_names_no_emotion_and_its_bars_are_pale(page):
    answer(page, face(1, answer="no clear expression"))
    assert panel(page) == ["No clear expression", "A calm face shows none of the six."]
    assert (names(page, "top"), names(page, "candidate")) == ([], [])
    assert page.locator("#live .em-bars.em-pale li").count() == 6
    label = page.locator(".em-targets button").get_attribute("aria-label")
    assert label == "Face 1: no clear expression"


def test_an_answer_that_its_numbers_no_longer_fit_is_said_without_them(page):
    answer(page, face(1, answer="surprise", settled=False))
    assert panel(page) == ["Surprise"]
    answer(page, face(1, answer="not sure", settled=False))
    assert panel(page) == ["Not sure"]


def test_five_faces_are_numbered_as_seen_with_a_thumbnail_each_and_one_card(page):
    faces = [face(10 + n, x=0.19 * n, side=0.15) for n in range(5)]
    faces[3] |= {"probabilities": UNDECIDED, "answer": "not sure"}
    answer(page, *faces, count=7)
    assert page.locator(".em-targets button").count() == 5
    assert panel(page)[0] == "Face 5"  # the first one of the answer, on the right of the mirror
    words = page.locator("#live .em-summary").inner_text()
    assert words == "7 faces. The 5 largest: 4 happiness, 1 not sure"
    thumbnails = page.locator("#live .em-strip button")
    assert [words.split() for words in thumbnails.all_inner_texts()] == [
        ["1", "Happiness", "80", "%"],
        ["2", "Not", "sure"],
        *([number, "Happiness", "80", "%"] for number in "345"),
    ]
    thumbnails.nth(1).focus()
    page.keyboard.press("Enter")
    assert panel(page)[:2] == ["Face 2", "Not sure"]
    assert violations(page) == []
    answer(page, *faces[:2])
    page.wait_for_function("document.querySelector('#live .em-group').hidden")


def test_focus_stays_with_its_face_when_others_come_and_go(page):
    left, middle, right = (face(20 + n, x=0.7 - 0.3 * n, side=0.2) for n in range(3))
    answer(page, left, right)
    focused = page.locator(".em-targets button").nth(1)
    focused.focus()
    label = page.evaluate("document.activeElement.ariaLabel")
    answer(page, middle, left, right)
    page.evaluate("setPace(0)")
    answer(page, middle)  # missed for a moment
    answer(page, middle, right)
    assert page.evaluate("document.activeElement.ariaLabel") == label
    page.evaluate("setPace(1)")
    answer(page, middle)
    page.wait_for_function("document.querySelectorAll('.em-targets button').length === 1")
    assert page.evaluate("document.activeElement.parentElement.className") == "em-targets"


def test_a_face_keeps_its_number_when_another_one_becomes_larger(page):
    left, right = face(4, x=0.6), face(7, x=0.1, probabilities=SURE[::-1])
    answer(page, left, right)
    page.locator(".em-targets button").nth(1).click()
    assert panel(page)[:2] == ["Face 2", "Fear 80 %"]
    answer(page, right, left)
    assert panel(page)[:2] == ["Face 2", "Fear 80 %"]
    assert page.locator(".em-targets button").nth(1).get_attribute("aria-pressed") == "true"


def test_the_card_holds_for_a_moment_when_the_face_is_missed_in_some_frames(page):
    answer(page, face(1))
    page.evaluate("setPace(0)")
    answer(page)
    assert page.locator(".em-targets button").count() == 0
    assert panel(page)[0] == "Happiness"
    page.evaluate("setPace(1)")
    page.wait_for_function("document.querySelector('.em-face-name').textContent === 'No face yet'")
    expect(page.locator(".em-note")).to_contain_text("No face in view")


def test_the_card_passes_to_another_face_when_its_own_has_left(page):
    answer(page, face(1, x=0.1), face(2, x=0.6))
    answer(page, face(2, x=0.6, probabilities=SURE[::-1]))
    page.wait_for_function("document.querySelector('.em-face-name').textContent === 'Fear'")


# For each class, whether the right end of the timeline shows anything.
PAINTED_ROWS = """() => {
  const canvas = document.querySelector(".em-timeline canvas");
  const [width, row] = [canvas.width, canvas.height / 6];
  const context = canvas.getContext("2d");
  return [...Array(6).keys()].map((index) =>
    context.getImageData(width - 4, row * index + 1, 4, row - 2).data.some(Boolean));
}"""

# How many columns of the timeline show anything.
PAINTED_WIDTH = """() => {
  const canvas = document.querySelector(".em-timeline canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const columns = new Set();
  data.forEach((value, i) => { if (value) columns.add((i >> 2) % canvas.width); });
  return columns.size;
}"""


@pytest.mark.parametrize("index", [0, 4])
def test_the_timeline_has_a_row_for_each_class_in_the_order_of_the_bars(page, index):
    only = [float(i == index) for i in range(6)]
    answer(page, face(1, probabilities=only))
    page.wait_for_function(f"({PAINTED_ROWS})().some(Boolean)")
    assert page.evaluate(PAINTED_ROWS) == [i == index for i in range(6)]


def test_the_timeline_grows_with_its_face_and_begins_anew_with_another_one(page):
    answer(page, face(1))
    page.wait_for_function(f"({PAINTED_WIDTH})() >= 120")
    answer(page, face(2))
    page.wait_for_function(f"0 < ({PAINTED_WIDTH})() && ({PAINTED_WIDTH})() < 120")


def test_the_timeline_is_told_in_a_sentence(page):
    answer(page, face(1, probabilities=UNDECIDED, answer="not sure"))
    expect(page.locator(".em-timeline canvas")).to_have_attribute(
        "aria-label", re.compile("^Last .*mostly Not sure$")
    )


def test_rate_latency_and_engine_stand_under_the_picture(page):
    answer(page, face(1))
    page.wait_for_function(
        r"""/^[\d.]+ per second · answer after \d+ ms · \w+/
          .test(document.querySelector(".em-pace").textContent)"""
    )


def test_a_slow_server_gets_one_frame_at_a_time_and_always_the_newest(page):
    answer(page, face(1))
    page.evaluate("Object.assign(exchange, { sent: [], most: 0, delay: 300 })")
    page.wait_for_function("exchange.sent.length >= 6")
    sent = page.evaluate("exchange.sent")
    ages = [frame["at"] - frame["time"] for frame in sent]
    pauses = [after["at"] - before["at"] for before, after in pairwise(sent)]
    assert page.evaluate("exchange.most") == 1
    assert min(pauses) >= 0.29
    # The clock of the video differs by a constant; were frames kept waiting, each one's age would
    # be greater than that of the one before by nearly as much as the server is late.
    assert np.median(np.diff(ages)) < 0.1


def test_a_busy_server_is_asked_again_when_it_said_so(page):
    answer(page, face(1))
    page.evaluate("Object.assign(exchange, { sent: [], answer: { busy: true, wait: 400 } })")
    page.wait_for_selector(".em-note:has-text('busy with other visitors')")
    page.wait_for_function("exchange.sent.length >= 4")
    sent = page.evaluate("exchange.sent")[1:]
    pauses = [after["at"] - before["at"] for before, after in pairwise(sent)]
    assert min(pauses) >= 0.39
    answer(page, face(1))
    page.wait_for_selector(".em-note", state="hidden")


def test_a_frozen_picture_is_asked_about_once_more_and_its_clock_stands_still(page):
    answer(page, face(1, why="Why."))
    page.get_by_role("button", name="Freeze").click()
    wait_until_quiet(page)
    last = page.evaluate("exchange.sent.at(-1)")
    page.evaluate("exchange.sent = []")
    page.wait_for_timeout(500)
    assert page.evaluate("exchange.sent") == []
    page.locator("#live select").select_option(label="Fear")
    page.wait_for_function("exchange.sent.length")
    wait_until_quiet(page)
    sent = page.evaluate("exchange.sent")
    assert [(frame["explain"], frame["time"]) for frame in sent] == [(5, last["time"])]
    page.locator("#live select").select_option("-1")
    frozen_for = page.evaluate("performance.now() / 1000") - last["at"]
    page.get_by_role("button", name="Continue").click()
    settle(page)
    resumed = page.evaluate("exchange.sent.at(-1)")
    stood_still = (resumed["at"] - last["at"]) - (resumed["time"] - last["time"])
    assert stood_still > 0.9 * frozen_for
    assert resumed["time"] > last["time"]


def test_a_face_is_explained_about_once_a_second_if_there_is_time_and_at_once_when_frozen(page):
    asked = page.evaluate(
        """async () => {
          const why = new window.emotionPage.Why(document.createElement("p"), { chosen: 7 });
          const soon = [why.due(false, 20), why.due(false, 20), why.due(true, 900)];
          await new Promise((resolve) => setTimeout(resolve, 1100));
          return [...soon, why.due(false, 400), why.due(false, 20)];
        }"""
    )
    assert asked == [7, 0, 7, 0, 7]


def test_the_sentence_of_a_frozen_face_is_shown(page):
    answer(page, face(1, why="frozen"), face(2, 0.6))
    page.get_by_role("button", name="Freeze").click()
    page.wait_for_function("document.querySelector('#live .em-why').textContent === 'frozen'")
    page.wait_for_function("exchange.sent.at(-1).cover === 1")
    page.get_by_role("button", name="Continue").click()


def test_a_sentence_about_another_face_or_class_is_not_shown(page):
    answer(page, face(1, why="about the first"), face(2, 0.6))
    why = page.locator("#live .em-why")
    page.wait_for_function("document.querySelector('#live .em-why').textContent")
    answer(page, face(1, explained=1), face(2, 0.6))
    page.wait_for_function("!document.querySelector('#live .em-why').textContent")
    answer(page, face(1, why="about the first"), face(2, 0.6))
    page.wait_for_function("document.querySelector('#live .em-why').textContent")
    answer(page, face(1), face(2, 0.6))
    page.locator(".em-targets button").nth(1).click()
    assert why.inner_text() == ""


def test_after_a_long_silence_of_the_server_faces_are_met_anew(page, own_server):
    answer(page, face(1))
    visitor = page.evaluate("exchange.sent.at(-1).visitor")
    page.evaluate("() => { exchange.answer = null; }")
    page.wait_for_selector(".em-note:has-text('does not answer')")
    assert page.locator(".em-targets button").count() == 0
    assert page.locator(".em-pace").inner_text() == ""
    page.wait_for_function("(before) => exchange.sent.at(-1).visitor !== before", arg=visitor)
    answer(page, face(1))
    assert page.evaluate("exchange.sent.at(-1).visitor") not in ("", visitor)
    own_server.complaints.clear()


def test_a_server_that_is_merely_late_does_not_cost_the_page(page):
    answer(page, face(1))
    page.evaluate(
        """() => {
          window.stays = true;
          window.later = setTimeout;
          window.setTimeout = (act, ms, ...rest) => later(act, ms === 8000 ? 80 : ms, ...rest);
          setPace(20);
          exchange.delay = 1000;
        }"""
    )
    page.wait_for_selector(".em-note:has-text('does not answer')")
    count = page.evaluate("exchange.sent.length")
    page.wait_for_function("(count) => exchange.sent.length > count + 1", arg=count)
    page.evaluate("exchange.delay = 0; setTimeout = later")
    page.wait_for_selector(".em-targets button")
    assert page.evaluate("stays")


def test_being_offline_is_said(page, own_server):
    page.context.set_offline(True)
    page.evaluate("() => { exchange.answer = null; }")
    page.wait_for_selector(".em-note:has-text('You are offline')")
    page.context.set_offline(False)
    answer(page, face(1))
    page.wait_for_selector(".em-note", state="hidden")
    own_server.complaints.clear()


def test_every_control_is_reached_and_works_by_keyboard(page):
    answer(page, face(1))
    page.locator("[data-do=stop]").focus()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.do"))
    assert reached == [
        "freeze",
        "save",
        "game",
        "mirror",
        "heat",
        "spotlight",
        "opacity",
        "explain",
    ]
    page.keyboard.press("ArrowDown")
    page.wait_for_function("exchange.sent.at(-1).explain === 0")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#live [data-do=opacity]").input_value() == "74"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Tab")
    spotlight = page.locator("#live [data-do=spotlight]")
    before = spotlight.get_attribute("aria-pressed")
    page.keyboard.press("Space")
    assert spotlight.get_attribute("aria-pressed") != before
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert not page.locator("#live [data-do=heat]").is_checked()
    page.keyboard.press("Space")


def test_another_camera_can_be_chosen_where_there_are_two(visit, launch):
    flags = ("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream")
    with launch(*flags) as browser:
        page = visit(browser, script=EXCHANGE).page
        page.locator("[data-do=start]").click()
        page.wait_for_selector(".em-live[data-state=running]")
        device = """document.querySelector(".em-stage video").srcObject
          ?.getVideoTracks()[0].getSettings().deviceId"""
        page.evaluate(f"window.first = {device}")
        page.get_by_role("button", name="Switch camera").click()
        page.wait_for_function(f"{device} && {device} !== first")
        page.context.close()


def test_an_answer_that_cannot_be_drawn_does_not_end_the_view(page):
    broken = face(1, heat={"cells": [0.5] * 16, "max": 0.1})
    page.evaluate(
        "(said) => { exchange.answer = said; }", {"faces": [broken], "count": 1, "ms": 1.0}
    )
    page.wait_for_selector(".em-note:has-text('Something went wrong')")

    answer(page, face(2))

    assert panel(page)[0] == "Happiness"


def test_a_face_in_doubt_says_why(page):
    answer(page, face(1, answer="not sure", sure=False, reason="perhaps no face"))

    assert "perhaps no face" in " ".join(panel(page))
