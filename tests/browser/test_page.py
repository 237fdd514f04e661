"""What holds for the whole page: sizes, languages, colour schemes, accessibility."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import emotion
from emotion.engine import choose

pytestmark = pytest.mark.browser

TABS = ("Live", "Photo", "About")

# What Gradio's own parts may violate; ours may not.
GRADIO_VIOLATIONS = {"color-contrast", "aria-prohibited-attr"}
OURS = ("#header", "#live", "#photo", "#video", "#about", "#footer")


RULES = {"resultTypes": ["violations"]}
RULES_OF_COLOURS = {
    **RULES,
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}


def violations(page, rules: dict = RULES) -> list[str]:
    found = []
    for violation in Axe().run(page, options=rules).response["violations"]:
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


def brightness(page) -> float:
    """Of the ground of the Live tab's bars, 0..255."""
    ground = "getComputedStyle(document.querySelector('.em-panel')).backgroundColor"
    return sum(map(int, page.evaluate(ground).strip("rgb()").split(",")[:3])) / 3


SETTLED = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  const ending = document.getAnimations()
    .filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
  await Promise.all(ending.map(({ finished }) => finished.catch(() => {})));
}"""
"""Waits until colours that fade into the other scheme have arrived."""


def violations_in_both_schemes(page) -> list[str]:
    found = []
    for scheme, rules in (("light", RULES), ("dark", RULES_OF_COLOURS)):
        page.emulate_media(color_scheme=scheme)
        dark = "document.body.classList.contains('dark')"
        page.wait_for_function(f"{dark} === {str(scheme == 'dark').lower()}")
        page.evaluate(SETTLED)
        found += [f"{scheme}: {violation}" for violation in violations(page, rules)]
    return found


def test_axe_finds_nothing_on_any_tab_of_either_colour_scheme(visit, one_face, open_tab, start):
    page = visit(one_face, color_scheme="dark").page
    assert brightness(page) < 60
    found = violations_in_both_schemes(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function("!document.body.classList.contains('dark')")
    page.evaluate(SETTLED)
    assert brightness(page) > 200
    start(page)
    found += violations_in_both_schemes(page)
    open_tab(page, "Photo")
    found += violations_in_both_schemes(page)
    page.get_by_role("button", name="Astronaut").click()
    page.wait_for_selector(".em-face", timeout=30_000)
    found += violations_in_both_schemes(page)
    open_tab(page, "Video")
    found += violations_in_both_schemes(page)
    open_tab(page, "About")
    found += violations_in_both_schemes(page)
    assert found == []


def check_widths(page) -> None:
    """Nothing is wider than the window, on a phone, a tablet and a desktop."""
    for width in (390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        controls = "#live .em-controls :is(button, .em-choice, input):visible"
        for control in page.locator(controls).all():
            box = control.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_nothing_scrolls_sideways(visit, one_face, open_tab, start):
    page = visit(one_face, viewport={"width": 390, "height": 844}, locale="de-DE").page
    check_widths(page)
    page.locator("[data-do=start]").click()
    page.wait_for_selector(".em-targets button", timeout=30_000)
    check_widths(page)
    page.get_by_role("tab").nth(1).click()
    check_widths(page)
    page.locator("[data-example=astronaut]").click()
    page.wait_for_selector(".em-face", timeout=30_000)
    check_widths(page)
    page.get_by_role("tab").nth(2).click()
    page.wait_for_selector(".em-video")
    check_widths(page)
    page.get_by_role("tab").nth(3).click()
    page.wait_for_selector(".em-about")
    check_widths(page)


def test_a_german_visitor_reads_german(visit, one_face):
    page = visit(one_face, locale="de-DE").page
    expect(page.get_by_role("button", name="Kamera starten")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_text(["Live", "Foto", "Video", "Über"])
    expect(page.locator("#live .em-bar-name").first).to_have_text("Freude")
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
