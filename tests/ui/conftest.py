"""One analyzer, and one server in this process, for all tests of the page without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest

from emotion.analyzer import Analyzer
from tests.support.visit import free_port


@pytest.fixture(scope="session")
def analyzer() -> Analyzer:
    return Analyzer.from_weights("embedded")


@pytest.fixture(scope="session")
def served(analyzer: Analyzer) -> Iterator[SimpleNamespace]:
    """The page on a real socket: its ``url`` and the ids of its ``components`` by name."""
    from emotion.ui.demo import build
    from emotion.ui.launch import start

    demo = build(analyzer)
    url = start(demo, "127.0.0.1", free_port())
    config = httpx.get(f"{url}config").json()
    components = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    yield SimpleNamespace(url=url, components=components)
    demo.close()
