"""What holds for the whole page: sizes, languages, colour schemes, accessibility."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

import emotion
from emotion.engine import choose

pytestmark = pytest.mark.browser

TABS = ("Live", "Photo", "About")

# What Gradio's own parts may violate; ours may not.
GRADIO_VIOLATIONS = {"color-contrast", "aria-prohibited-attr"}
OURS = ("#header", "#live", "#photo", "#video", "#about", "#footer")


def violations(page) -> list[str]:
    found = []
    for violation in Axe().run(page).response["violations"]:
        for node in violation["nodes"]:
            target = str(node["target"][0])
            ours = page.evaluate(
                "([target, ours]) => document.querySelector(target)?.closest(ours) != null",
                [target, ", ".join(OURS)],
            )
            if ours or violation["id"] not in GRADIO_VIOLATIONS:
                found.append(f"{violation['id']}: {target}")
    return found


@pytest.fixture(scope="module")
def page(shared_visit, one_face):
    """One page for all tests that only look."""
    return shared_visit(one_face, reduced_motion="reduce").page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_tab_of_either_colour_scheme(
    visit, one_face, open_tab, start, scheme
):
    page = visit(one_face, color_scheme=scheme).page
    ground = page.evaluate("getComputedStyle(document.querySelector('.em-panel')).backgroundColor")
    brightness = sum(int(part) for part in ground.strip("rgb()").split(",")[:3]) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60
    found = violations(page)
    start(page)
    found += violations(page)
    open_tab(page, "Photo")
    found += violations(page)
    page.get_by_role("button", name="Astronaut").click()
    page.wait_for_selector(".em-face", timeout=30_000)
    found += violations(page)
    open_tab(page, "Video")
    found += violations(page)
    open_tab(page, "About")
    found += violations(page)
    assert found == []


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_scrolls_sideways(visit, one_face, open_tab, start, width):
    page = visit(one_face, viewport={"width": width, "height": 844}, locale="de-DE").page
    page.locator("[data-do=start]").click()
    page.wait_for_selector(".em-targets button", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in page.locator("#live .em-controls :is(button, .em-choice, input):visible").all():
        box = control.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    page.get_by_role("tab").nth(1).click()
    page.locator("[data-example=astronaut]").click()
    page.wait_for_selector(".em-face", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("tab").nth(2).click()
    page.wait_for_selector(".em-video")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("tab").nth(3).click()
    page.wait_for_selector(".em-about")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_german_visitor_reads_german(visit, one_face):
    page = visit(one_face, locale="de-DE").page
    assert page.get_by_role("button", name="Kamera starten").is_visible()
    assert page.get_by_role("tab").all_inner_texts() == ["Live", "Foto", "Video", "Über"]
    assert page.locator("#live .em-bar-name").first.inner_text() == "Freude"
    assert page.evaluate("document.documentElement.lang") == "de"


def test_the_privacy_notice_comes_before_the_camera(page):
    assert "not kept" in page.locator(".em-start").inner_text()
    assert page.evaluate("document.querySelector('.em-stage video').srcObject") is None


def test_about_names_weights_engine_and_version(page, open_tab):
    assert "Six expressions, and why" in page.locator("#header").inner_text()
    open_tab(page, "About")
    facts = page.locator("#weights").inner_text()
    assert emotion.__version__ in facts
    assert choose().name in facts


def test_about_says_what_this_is_not(page, open_tab):
    open_tab(page, "About")
    words = page.locator("#about").inner_text()
    assert "no class for a neutral face" in words
    assert "not for decisions about people" in words
    assert "AI Act" in words


def test_reduced_motion_is_respected(page):
    moving = "getComputedStyle(document.querySelector('.em-bar i')).transitionDuration"
    assert page.evaluate(moving) == "0s"
