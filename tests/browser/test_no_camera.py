"""Every way in which a browser has no camera for us is a sentence that says what to do."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def note(page) -> str:
    page.wait_for_selector(".em-note:not([hidden])")
    return page.locator(".em-note").inner_text()


def complaint(page) -> str:
    """Press the button and return what the page says in the end."""
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_function("!document.querySelector('.em-note').textContent.includes('…')")
    return note(page)


def test_no_camera_is_said_in_a_sentence_on_the_screen(visit, launch):
    with launch() as browser:
        page = visit(browser, viewport={"width": 390, "height": 664}).page
        assert "No camera was found" in complaint(page)
        said = page.locator(".em-note").bounding_box()
        assert said["y"] >= 0
        assert said["y"] + said["height"] <= 664
        assert page.evaluate("document.activeElement.dataset.do") == "start"
        page.context.close()


def test_a_refused_camera_is_said_and_the_photo_tab_is_one_click_away(visit, launch):
    with launch("--use-fake-device-for-media-stream", "--deny-permission-prompts") as browser:
        page = visit(browser).page
        assert not page.get_by_role("button", name="Use the Photo tab").is_visible()
        assert "did not allow the camera" in complaint(page)
        page.get_by_role("button", name="Use the Photo tab").click()
        page.get_by_role("button", name="Choose a picture").wait_for()
        page.context.close()


@pytest.fixture(scope="module")
def refusing(shared_visit, one_face):
    """A page whose camera is refused by the name that ``refusal`` has."""
    refuse = """navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("", window.refusal));"""
    return shared_visit(one_face, script=refuse).page


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("NotReadableError", "in use by another program"),
        ("SecurityError", "did not allow the camera"),
        ("OverconstrainedError", "No camera was found"),
    ],
)
def test_what_the_browser_says_is_put_into_a_sentence(refusing, name, sentence):
    refusing.evaluate("(name) => { window.refusal = name; }", name)
    assert sentence in complaint(refusing)


def test_an_insecure_address_is_said_in_a_sentence(visit, launch, app):
    with launch("--host-resolver-rules=MAP faces.example 127.0.0.1") as browser:
        page = visit(browser, url=f"http://faces.example:{app.port}/").page
        assert "https" in complaint(page)
        page.context.close()
