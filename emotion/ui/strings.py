"""Every sentence of the page, in English and German, from one table."""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from importlib import resources
from typing import Literal

Language = Literal["en", "de"]

LANGUAGES: tuple[Language, ...] = ("en", "de")
"""Columns of ``strings.json``, in this order."""


@lru_cache(maxsize=1)
def table() -> dict[Language, dict[str, str]]:
    """Read the table: language -> key -> sentence, with ``{name}`` where a value goes."""
    rows = json.loads(resources.files("emotion.ui").joinpath("strings.json").read_text("utf-8"))
    return {
        language: {key: cells[column] for key, cells in rows.items()}
        for column, language in enumerate(LANGUAGES)
    }


def say(key: str, language: Language = "en", **values: object) -> str:
    """Return one sentence with its values filled in."""
    return table()[language][key].format(**values)


def text(key: str, tag: str = "span", *, classes: str = "", **values: object) -> str:
    """Return an HTML element with a sentence in English; the browser puts in the other language.

    Args:
        key: row of the table.
        tag: name of the element.
        classes: value of its ``class`` attribute.
        values: what the sentence's ``{name}`` stand for; the same in all languages.
    """
    attributes = f' class="{classes}"' if classes else ""
    if values:
        attributes += f' data-values="{escape(json.dumps(values))}"'
    return (
        f'<{tag} data-text="{key}"{attributes}>{escape(say(key, LANGUAGES[0], **values))}</{tag}>'
    )


def label(key: str) -> str:
    """Return the attributes that name an element for screen readers."""
    return f'data-label="{key}" aria-label="{escape(say(key))}"'
