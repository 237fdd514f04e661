"""Where a corpus is, as users write it: ``NAME=PATH`` or ``NAME=folder:PATH``, maybe with a map."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from emotion.errors import ConfigError
from train.corpora.expressions import plain, understand
from train.corpora.schema import SOURCES

Kind = Literal["published", "folder", "csv"]

HUB = "hf://datasets/"
"""What the address of a dataset repository begins with."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TAKEN = frozenset({"all", "common", "embedded", "other", "train", "training", "validation"})
_PREFIX = re.compile(r"(folder|csv):(?=.)")
_MAP = re.compile(r"(?:,[^,=/\\]+=[^,=/\\]*)+$")


@dataclass(frozen=True, slots=True)
class Place:
    """A place with a corpus in it.

    Attributes:
        kind: ``published`` for the layouts of a known corpus, otherwise anybody's pictures.
        path: a zip, a folder, a csv or an address on the Hub.
        names: the corpus's word or number, in lower case -> canonical name of the expression.
    """

    kind: Kind
    path: str
    names: Mapping[str, str] = field(default_factory=dict)


def parse_corpus(text: str) -> tuple[str, str | None]:
    """Split ``NAME=PATH`` as users write it; ``synthetic`` and ``synthetic=COUNT`` need no path.

    Raises:
        ConfigError: if the name is unknown, or reserved, or the path is missing.
    """
    name, _, path = text.partition("=")
    if _PREFIX.match(path):
        if name in SOURCES:
            raise ConfigError(
                f"{name} is a corpus with layouts of its own; give your pictures another name, or "
                f"write {name}=PATH."
            )
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise ConfigError(
                f"{name!r} cannot name a corpus; take another word of letters, digits and dashes."
            )
    elif name not in SOURCES:
        raise ConfigError(
            f"{text!r} names no known corpus; write NAME=PATH, with NAME one of "
            f"{', '.join(SOURCES)}, or NAME=folder:PATH for pictures of your own."
        )
    elif not path and name != "synthetic":
        raise ConfigError(
            f"{text!r} lacks a path; write {name}=PATH with a zip, a folder or {HUB}USER/NAME."
        )
    return name, path or None


def parse_place(path: str | os.PathLike[str]) -> Place:
    """Understand the part behind ``NAME=``: an optional ``folder:``, a path, an optional map.

    Example: ``folder:faces,0=anger,1=joy``.

    Raises:
        ConfigError: if the map names something else than an expression.
    """
    text = os.fspath(path)
    prefix = _PREFIX.match(text)
    kind: Kind = "published"
    if prefix:
        kind, text = "csv" if prefix[1] == "csv" else "folder", text[prefix.end() :]
    # A path that is there is a path, whatever it looks like.
    pairs = None if os.path.exists(os.path.expanduser(text)) else _MAP.search(text)
    if pairs is None:
        return Place(kind, text)
    names = {}
    for pair in pairs[0][1:].split(","):
        word, _, meant = pair.partition("=")
        expression = understand(meant)
        if expression is None:
            raise ConfigError(
                f"{pair!r} does not name an expression; write {word}= and one of happiness, "
                "surprise, sadness, anger, disgust, fear, neutral, contempt."
            )
        names[plain(word)] = expression
    return Place(kind, text[: pairs.start()], names)
