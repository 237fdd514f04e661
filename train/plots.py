"""How every figure looks, and how it becomes a file."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, QUIET = "#1b1f24", "#8c959f"


def styled(salt: str, **changes: Any) -> AbstractContextManager[None]:
    """Draw in the house style.

    Args:
        salt: makes the ids in an SVG, and so the file, repeatable; another one in each file that
            is embedded in one page.
        changes: settings of matplotlib, with ``_`` for ``.`` in their names.
    """
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, in the page's own font
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": QUIET,
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.hashsalt": salt,
    }
    style |= {name.replace("_", ".", 1): value for name, value in changes.items()}
    return mpl.rc_context(style)


def to_svg(figure: Figure, **options: Any) -> bytes:
    """Return an SVG file that holds no date; the same figure gives the same bytes.

    Args:
        figure: drawn in the house style.
        options: of matplotlib's ``savefig``.
    """
    buffer = io.BytesIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=metadata, **options)
    return buffer.getvalue()
