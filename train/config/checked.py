"""Options that are checked when they are made, whether typed or read back from JSON.

A range stands in the type, as ``Annotated[float, Field(ge=0, le=1)]``, and pydantic checks it. What
it finds becomes one sentence that names the option, the range and the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from emotion.errors import ConfigError

STRICT = ConfigDict(extra="forbid")
"""For ``pydantic.dataclasses.dataclass``: an option that there is not is an error."""

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]

Kind = TypeVar("Kind", bound=type)


def in_one_sentence(kind: Kind) -> Kind:
    """Let a dataclass of pydantic raise what it finds as a ``ConfigError`` of one sentence."""
    check: Callable[..., None] = kind.__init__  # type: ignore[misc]

    @wraps(check)
    def init(self: Any, *args: Any, **values: Any) -> None:
        try:
            check(self, *args, **values)
        except ValidationError as error:
            raise _sentence(kind, error.errors(include_url=False)[0]) from None

    kind.__init__ = init  # type: ignore[misc]
    return kind


def _sentence(kind: type, error: Any) -> Exception:
    place, value, found = error["loc"][0], error["input"], error["type"]
    name = place if isinstance(place, str) else fields(kind)[place].name  # by its position
    option = f"--{name.replace('_', '-')}"
    if found in ("missing", "unexpected_keyword_argument"):
        return TypeError(f"{name}: {error['msg'].lower()}")
    if found == "literal_error":
        choices = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return ConfigError(f"{option} must be one of {choices}, not {value!r}.")
    if limits := _limits(get_type_hints(kind, include_extras=True)[name]):
        return ConfigError(f"{option} must be {limits}, not {value}.")
    return ConfigError(f"{option} cannot be {value!r} ({error['msg'].lower()}).")


def _limits(hint: Any) -> str:
    """Say which numbers a type takes; empty if it says nothing about that."""
    bounds: dict[str, float] = {}
    for part in getattr(hint, "__metadata__", ()):
        for bound in part.metadata if isinstance(part, FieldInfo) else ():
            bounds |= {name: getattr(bound, name) for name in _WORDS if hasattr(bound, name)}
    if set(bounds) == {"ge", "le"}:
        return f"between {bounds['ge']} and {bounds['le']}"
    return " and ".join(f"{_WORDS[name]} {bounds[name]}" for name in _WORDS if name in bounds)


_WORDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
