"""One analyzer, and one server in this process, for all tests of the page without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest

from emotion.analyzer import Analyzer
from emotion.ui.decoder import Decoder
from tests.support.visit import free_port

if TYPE_CHECKING:
    from emotion.ui.demo import Page


@pytest.fixture(scope="session")
def analyzer() -> Analyzer:
    return Analyzer.from_weights("embedded")


@pytest.fixture(scope="session")
def serving(analyzer: Analyzer) -> SimpleNamespace:
    """What the parts of the page take it from, see ``emotion.ui.serving.Serves``."""
    return SimpleNamespace(analyzer=analyzer)


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    """A process that decodes, for all tests that do not harm it."""
    started = Decoder()
    yield started
    started.close()


@pytest.fixture(scope="session")
def page(analyzer: Analyzer) -> Page:
    """The page that ``served`` serves."""
    from emotion.ui.demo import build

    return build(analyzer)


@pytest.fixture(scope="session")
def served(page: Page) -> Iterator[SimpleNamespace]:
    """The page on a real socket: its ``url`` and the ids of its ``components`` by name."""
    from emotion.ui.launch import start, stop

    url = start(page, "127.0.0.1", free_port())
    config = httpx.get(f"{url}config").json()
    components = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    yield SimpleNamespace(url=url, components=components)
    stop(page)
