"""A server that goes away and comes back while somebody watches."""

from __future__ import annotations

import pytest

from tests.browser.conftest import free_port, running_app

pytestmark = pytest.mark.browser


def test_the_view_goes_on_by_itself_when_the_server_was_restarted(visit, one_face, start, tmp_path):
    port = free_port()
    with running_app(tmp_path / "first.log", port) as app:
        seen = visit(one_face, url=app.url)
        page = seen.page
        start(page)
    page.wait_for_selector(".em-note:has-text('does not answer')")
    assert page.locator(".em-targets button").count() == 0
    with running_app(tmp_path / "second.log", port):
        page.wait_for_selector(".em-targets button", timeout=30_000)
        page.wait_for_selector(".em-note", state="hidden")
        assert page.locator(".em-live").get_attribute("data-state") == "running"
        page.get_by_role("button", name="Stop").click()
    assert "Traceback" not in (tmp_path / "second.log").read_text("utf-8")
    # The browser itself logs requests that failed meanwhile; nothing else may be there.
    assert all("Failed to load resource" in complaint for complaint in seen.complaints)
    seen.complaints.clear()
