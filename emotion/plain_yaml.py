"""YAML as people write it: without references, which can stand for more than memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1 << 20
"""Most bytes of a file."""


class PlainLoader(yaml.SafeLoader):
    """A safe loader that knows no aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias with the place where it stands."""
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", mark)
        return super().compose_node(parent, index)


def parse(text: str) -> Any:
    """Parse YAML.

    Raises:
        yaml.YAMLError: if it is none, too deep, or holds values that are none, as dates without
            such a day.
    """
    try:
        return yaml.load(text, PlainLoader)
    except (ValueError, RecursionError, TypeError) as error:
        raise yaml.YAMLError(str(error)) from None


def read(path: Path) -> Any:
    """Read a file, see ``parse``.

    Raises:
        OSError: if it cannot be read, or is larger than ``MAX_BYTES``.
        UnicodeDecodeError: if it is no text.
        yaml.YAMLError: see ``parse``.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError("it is too large")
    return parse(data.decode("utf-8"))
