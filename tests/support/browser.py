"""Which browser benchmarks and tests use."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@cache
def find_browser() -> str | None:
    """Return the first browser that runs; Ubuntu's chromium-browser may be an empty wrapper."""
    for path in filter(None, map(shutil.which, _NAMES)):
        try:
            subprocess.run([path, "--version"], check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            continue
        return path
    return None
