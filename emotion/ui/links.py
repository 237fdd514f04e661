"""Addresses of the project, which About links to where ``pyproject.toml`` names some."""

from __future__ import annotations

import sys
from functools import cache
from importlib import metadata
from pathlib import Path

_DISTRIBUTION = "sep-emotion-classifier"
_SOURCE = Path(__file__).parents[2] / "pyproject.toml"


@cache
def project_links(source: Path = _SOURCE) -> dict[str, str]:
    """Return names and addresses: of the checkout that runs, or of the package that is installed.

    Args:
        source: the checkout's ``pyproject.toml``; it need not exist.
    """
    named = _of_checkout(source) if source.is_file() else _of_package()
    return {name: address for name, address in named.items() if address.startswith("https://")}


def _of_checkout(source: Path) -> dict[str, str]:
    if sys.version_info < (3, 11):
        return {}
    import tomllib

    project = tomllib.loads(source.read_text("utf-8")).get("project", {})
    return {str(name): str(address) for name, address in project.get("urls", {}).items()}


def _of_package() -> dict[str, str]:
    try:
        entries = metadata.metadata(_DISTRIBUTION).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return {}
    pairs = (str(entry).partition(",") for entry in entries)
    return {name.strip(): address.strip() for name, _, address in pairs}
