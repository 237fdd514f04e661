"""A method's options: shown, and taken, only where the method is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields, make_dataclass, replace
from typing import Annotated, Any, get_type_hints

import tyro

from emotion.errors import ConfigError
from train.config.domains import AdaptationConfig, Bort2Config
from train.config.fit import FitConfig, from_json, to_json

_CHOICE = "method"
_GROUPS: dict[str, tuple[str, type]] = {
    "progressive": ("adaptation", AdaptationConfig),
    "bort2": ("bort2", Bort2Config),
}
"""Method -> the field of ``FitConfig`` with its options, and their dataclass."""


def chosen_method(words: Sequence[str], default: str) -> str:
    """Return the method that a command line names, or else the default."""
    for word, following in zip(reversed(words), [None, *reversed(words)], strict=False):
        if word == f"--{_CHOICE}" and following is not None:
            return following
        if word.startswith(f"--{_CHOICE}="):
            return word.partition("=")[2]
    return default


def hide_others(config: FitConfig, method: str) -> FitConfig:
    """Return the same values in a type that shows the options of this method alone in help."""
    shown = {}
    for name, (group, kind) in _GROUPS.items():
        if name != method:
            hints = get_type_hints(kind)
            hidden = {key: Annotated[hints[key], tyro.conf.Suppress] for key in _options(kind)}
            shown[group] = with_types(getattr(config, group), hidden)
    changed: FitConfig = with_types(config, {group: type(value) for group, value in shown.items()})
    return replace(changed, **shown)


def check_words(words: Sequence[str], method: str) -> None:
    """Check that a command line names no option of another method.

    Raises:
        ConfigError: if it does.
    """
    named = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words}
    for other, (_, kind) in _GROUPS.items():
        if other != method and (wrong := named & set(_options(kind))):
            option = "--" + min(wrong).replace("_", "-")
            raise ConfigError(f"{option} belongs to --{_CHOICE} {other}; add that or leave it out.")


def plain(config: FitConfig) -> FitConfig:
    """Return the values of ``hide_others`` in the type that everything else knows."""
    return from_json(to_json(config))


def _options(kind: type) -> list[str]:
    return [option.name for option in fields(kind) if option.name != _CHOICE]


def with_types(values: Any, types: dict[str, Any]) -> Any:
    """Return the values in a subclass of their type, of whose fields some have other types."""
    kind = type(values)
    replaced = [(name, hint, field(default=getattr(values, name))) for name, hint in types.items()]
    own = make_dataclass(
        kind.__name__, replaced, bases=(kind,), frozen=True, namespace={"__doc__": kind.__doc__}
    )
    return own(**{option.name: getattr(values, option.name) for option in fields(values)})
