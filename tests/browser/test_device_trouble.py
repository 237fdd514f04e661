"""What can go wrong with the network in the page: one sentence, and somebody answers."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import DEVICE

pytestmark = pytest.mark.browser

FORBIDDEN = "caches.open = () => Promise.reject(new DOMException('no', 'SecurityError'));\n"
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
COUNT_FRAMES = """() => {
  const { device } = window.emotionPage;
  const { ask } = device;
  window.framesAsked = 0;
  device.ask = (...request) => (window.framesAsked++, ask.apply(device, request));
}"""
NONE_FOR_A_WHILE = """() => {
  if (framesAsked !== window.rested?.asked)
    window.rested = { asked: framesAsked, turns: 0, from: Date.now() };
  return ++rested.turns > 20 && Date.now() - rested.from > 500;
}"""
ANSWERED = "document.querySelector('.em-pace').textContent.includes('{}')"
HERE, AFAR = ANSWERED.format("on this device"), ANSWERED.format("OpenVINO")


@pytest.fixture
def start():
    """Start the camera, and wait longer than the server takes: all is fetched and tried first."""

    def started(page) -> None:
        page.locator("[data-do=start]").click()
        page.wait_for_selector(".em-targets button", timeout=120_000)

    return started


def sentence(page, words: str) -> None:
    """Wait until the page says so, in the one place for it."""
    page.wait_for_function(
        "words => document.querySelector('[data-where]').textContent.includes(words)",
        arg=words,
        timeout=60_000,
    )


def answered(page, by: str) -> None:
    """Wait until the newest answers came from there."""
    page.evaluate("document.querySelector('.em-pace').textContent = ''")
    page.wait_for_function(f"{by} && document.querySelector('.em-targets button')", timeout=120_000)


def is_idle(page) -> bool:
    return page.locator(".em-live").get_attribute("data-state") == "idle"


def asked(page, words: str) -> None:
    """Wait until who chose the device is asked to choose again; nothing is sent meanwhile."""
    sentence(page, words)
    page.wait_for_selector(".em-live[data-state=idle]")
    assert words in page.locator(".em-note").text_content()
    assert page.locator(".em-where input[value=device]").is_checked()


def before(page, name: str, code: str) -> None:
    """Let a line of code run before a script of the worker."""

    def changed(route):
        original = route.fetch()
        route.fulfill(headers=plain(original), body=code + original.text())

    page.route(f"**/{name}", changed)


def plain(answer) -> dict[str, str]:
    """The headers of an answer whose body is not compressed any more."""
    return {
        name: value
        for name, value in answer.headers.items()
        if name not in ("content-encoding", "content-length")
    }


def test_without_a_cache_it_runs_and_says_that_nothing_is_kept(visit, one_face, start):
    page = visit(one_face, place=DEVICE).page
    before(page, "files.js", FORBIDDEN)
    start(page)
    sentence(page, "keeps no files")
    answered(page, HERE)


def test_with_a_full_cache_it_runs_and_says_that_nothing_is_kept(visit, one_face, app, start):
    page = visit(one_face, place=DEVICE).page
    quota = {"origin": app.url.rstrip("/"), "quotaSize": 100_000}
    page.context.new_cdp_session(page).send("Storage.overrideQuotaForOrigin", quota)
    start(page)
    sentence(page, "keeps no files")
    answered(page, HERE)


@pytest.mark.parametrize("end", ["self.close()", "setTimeout(() => { throw 'no memory' })"])
def test_a_worker_that_dies_leaves_it_to_the_server(visit, one_face, start, end):
    seen = visit(one_face, place={"pace": 100})
    page = seen.page
    # The self-test of a busy machine would choose the server by itself.
    page.evaluate(
        "void (window.emotionPage.device.launch = ((launch) => async function (...request) {"
        "const failed = await launch.apply(this, request); this.pace = 100;"
        "return failed; })(window.emotionPage.device.launch))"
    )
    start(page)
    answered(page, HERE)
    page.workers[0].evaluate(end)
    sentence(page, "stopped working")
    answered(page, AFAR)
    assert page.locator(".em-where input[value=server]").is_checked()
    seen.complaints.clear()  # the error itself


def test_who_chose_the_device_is_asked_when_the_worker_dies_and_can_start_again(
    visit, one_face, start
):
    page = visit(one_face, place=DEVICE).page
    start(page)
    answered(page, HERE)
    sent = []
    page.on("request", lambda request: request.post_data and sent.append(request.url))
    page.workers[0].evaluate("self.close()")
    asked(page, "stopped working")
    start(page)
    answered(page, HERE)
    assert sent == []


def test_weights_that_were_renewed_are_told_and_the_next_start_takes_them(visit, one_face, start):
    often = (
        "window.setInterval = ((real) => (f, ms) => real(f, ms === 60000 ? 300 : ms))(setInterval)"
    )
    page = visit(one_face, place=DEVICE, script=often).page
    start(page)
    answered(page, HERE)

    def renewed(route):
        original = route.fetch()
        route.fulfill(json={**original.json(), "network": "newer"})

    page.route("**/device/manifest.json", renewed)
    sentence(page, "new weights")
    answered(page, HERE)
    page.locator("[data-do=stop]").click()
    start(page)
    assert page.evaluate("window.emotionPage.device.network") == "newer"
    assert "new weights" not in page.locator("[data-where]").first.text_content()


def test_weights_that_change_while_they_are_fetched_are_asked_for_again(visit, one_face, start):
    seen = visit(one_face, place=DEVICE)
    page, gone = seen.page, []

    def once(route):
        gone.append(route.request.url)
        if len(gone) > 1:
            return route.continue_()
        return route.fulfill(status=404, body=json.dumps({"error": "reload"}))

    page.route("**/numbers.json", once)
    start(page)
    answered(page, HERE)
    assert len(gone) == 2
    seen.complaints.clear()  # Chromium's own line about the 404


def test_a_tab_in_the_background_rests_and_goes_on(visit, one_face, start):
    page = visit(one_face, place=DEVICE).page
    start(page)
    answered(page, HERE)
    page.evaluate(COUNT_FRAMES)
    page.evaluate(HIDE, True)
    page.wait_for_function(NONE_FOR_A_WHILE)  # after the frame that was under way
    asked_before = page.evaluate("window.framesAsked")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.framesAsked") == asked_before
    page.evaluate(HIDE, False)
    answered(page, HERE)
    assert not is_idle(page)


@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "default"])
def test_blocked_wasm_is_said(visit, one_face, start, chosen):
    seen = visit(one_face, place=DEVICE if chosen else {})
    page = seen.page

    def strict(route):
        original = route.fetch()
        policy = {"content-security-policy": "default-src 'self'"}
        route.fulfill(headers={**plain(original), **policy}, body=original.text())

    page.route("**/worker.js", strict)
    if chosen:
        page.locator("[data-do=start]").click()
        asked(page, "does not let the network run")
    else:
        start(page)
        sentence(page, "does not let the network run")
        answered(page, AFAR)
    seen.complaints.clear()  # Chromium's own lines about the policy
