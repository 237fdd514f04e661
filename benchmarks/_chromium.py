"""The browser of the benchmarks that need one."""

from __future__ import annotations

import sys

from tests.support.browser import find_browser


def find_or_say() -> str | None:
    """Return the path of a browser; None, and one sentence on stderr, if none runs."""
    path = find_browser()
    if path is None:
        print(
            "There is no Chromium or Chrome that runs; install one: apt install chromium",
            file=sys.stderr,
        )
    return path
