"""Every way in which a browser has no camera for us is a sentence that says what to do."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def note(page) -> str:
    page.wait_for_selector(".em-note:not([hidden])")
    return page.locator(".em-note").inner_text()


def test_no_camera_is_said_in_a_sentence(visit, launch):
    with launch() as browser:
        page = visit(browser).page
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_function("!document.querySelector('.em-note').textContent.includes('…')")
        assert "No camera was found" in note(page)
        page.context.close()


def test_a_refused_camera_is_said_in_a_sentence(visit, launch):
    with launch("--use-fake-device-for-media-stream", "--deny-permission-prompts") as browser:
        page = visit(browser).page
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_function("!document.querySelector('.em-note').textContent.includes('…')")
        assert "did not allow the camera" in note(page)
        page.context.close()


def test_an_insecure_address_is_said_in_a_sentence(visit, launch, app):
    with launch("--host-resolver-rules=MAP faces.example 127.0.0.1") as browser:
        page = visit(browser, url=f"http://faces.example:{app.port}/").page
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_function("!document.querySelector('.em-note').textContent.includes('…')")
        assert "https" in note(page)
        page.context.close()
