"""What all groups of options have in common."""

from __future__ import annotations

from typing import Literal, get_args, get_origin, get_type_hints

from emotion.errors import ConfigError


class Group:
    """What the groups have in common: values that came from JSON are checked like typed ones."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name, hint in hints.items():
            value = getattr(self, name)
            # JSON has no tuples; a config that was read back must equal the one that was written.
            if get_origin(hint) is tuple:
                object.__setattr__(self, name, tuple(value))
            if get_origin(hint) is Literal and value not in get_args(hint):
                raise ConfigError(
                    f"{option(name)} must be one of {', '.join(get_args(hint))}, not {value!r}."
                )

    def check(self, names: str, low: float, high: float = float("inf")) -> None:
        """Refuse values outside [low, high]; ``names`` are separated by blanks."""
        for name in names.split():
            if not low <= getattr(self, name) <= high:
                limit = f"at least {low}" if high == float("inf") else f"between {low} and {high}"
                raise ConfigError(f"{option(name)} must be {limit}, not {getattr(self, name)}.")


def option(name: str) -> str:
    """Return how the command line calls an option."""
    return f"--{name.replace('_', '-')}"
