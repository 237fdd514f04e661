"""A YAML file that knows on which line everything stands, for errors that point there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from emotion import plain_yaml
from emotion.errors import ConfigError

Place = Sequence[str | int]
"""Keys and list indices that lead to a value."""


class Document:
    """A parsed YAML mapping.

    Attributes:
        path: the file.
        values: its content, built of dicts, lists and scalars.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            ConfigError: if it cannot be read, is no YAML mapping, or repeats a key.
        """
        self.path = path
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            raise ConfigError(
                f"There is no {path}; run the command in the project's folder."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read as text ({error}).") from None
        try:
            self._root = yaml.compose(text, plain_yaml.PlainLoader)
            self.values: Any = plain_yaml.parse(text)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or " ".join(str(error).split())[:100]
            raise ConfigError(f"{path.name}{line} is no valid YAML: {problem}.") from None
        if not isinstance(self._root, yaml.MappingNode):
            raise ConfigError(f"{path.name} must consist of KEY: VALUE lines.")
        self._refuse_repeated_keys(self._root, ())

    def error(self, place: Place, sentence: str) -> ConfigError:
        """Return an error that names the line and the key, as ``space.yaml, line 7: key SENTENCE``.

        Args:
            place: where; its last key may be missing from the file.
            sentence: what is wrong there, continuing after the key's name.
        """
        return ConfigError(f"{self.path.name}, line {self.line(place)}: {_name(place)} {sentence}.")

    def line(self, place: Place) -> int:
        """Return the line (from 1) of a value's key, or of the innermost section around it."""
        node: yaml.Node | None = self._root
        line = 1
        for step in place:
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if pair[0].value == str(step)), None)
                if found is None:
                    return line
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                return line
        return line

    def _refuse_repeated_keys(self, node: yaml.Node, place: tuple[str | int, ...]) -> None:
        """YAML's loader takes the last of two equal keys without a word."""
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    name = _name((*place, key.value))
                    raise ConfigError(f"{self.path.name}, line {line}: {name} is there twice.")
                seen.add(key.value)
                self._refuse_repeated_keys(value, (*place, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._refuse_repeated_keys(value, (*place, index))


def _name(place: Place) -> str:
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in place]
    return "".join(parts).lstrip(".")
