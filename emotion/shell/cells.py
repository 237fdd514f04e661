"""Rows of CSV as text, one way for all tables; a spreadsheet must take no name for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)  # a sign alone is none


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines; a name that begins like a formula has an apostrophe before it.

    The page writes its tables the same way: ``emotion/ui/csv.js``.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def name_of(cell: str) -> str:
    """Return the name that ``csv_lines`` wrote into a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _safe(cell: object) -> object:
    if not isinstance(cell, str) or not _FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
