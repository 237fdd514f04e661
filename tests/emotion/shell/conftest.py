"""The weights, loaded once for the commands of a file."""

from __future__ import annotations

import pytest

from emotion import Analyzer


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights("embedded")


@pytest.fixture
def loaded_once(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands take these weights, whichever they are asked for."""
    monkeypatch.setattr(Analyzer, "from_weights", lambda *_, **__: analyzer)
