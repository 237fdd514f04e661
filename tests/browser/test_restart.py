"""A server that goes away and comes back, with nothing that it knew, while somebody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.support.visit import free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def serve() -> Callable[[int], AbstractContextManager[str]]:
    """Serve the page from this process: another process would need seconds to start twice."""
    from emotion import Analyzer
    from emotion.ui.demo import build
    from emotion.ui.launch import start, stop

    analyzer = Analyzer.from_weights()

    @contextmanager
    def served(port: int) -> Iterator[str]:
        # In a thread, because the browser's driver has an event loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            demo = thread.submit(build, analyzer).result()
            url = thread.submit(start, demo, "127.0.0.1", port).result()
            try:
                yield url
            finally:
                thread.submit(stop, demo).result()

    return served


def test_the_view_goes_on_by_itself_when_the_server_was_restarted(visit, one_face, start, serve):
    port = free_port()
    with serve(port) as url:
        seen = visit(one_face, url=url)
        page = seen.page
        start(page)
    page.wait_for_selector(".em-note:has-text('does not answer')")
    assert page.locator(".em-targets button").count() == 0
    with serve(port):
        page.wait_for_selector(".em-targets button", timeout=30_000)
        page.wait_for_selector(".em-note", state="hidden")
        assert page.locator(".em-live").get_attribute("data-state") == "running"
        page.get_by_role("button", name="Stop").click()
    # The browser itself logs requests that failed meanwhile; nothing else may be there.
    assert all("Failed to load resource" in complaint for complaint in seen.complaints)
    seen.complaints.clear()
