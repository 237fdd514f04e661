"""The rows of a benchmark as a file; a row's fields carry their units in their names."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._machine import machine
from emotion.files import write_text

Row = Mapping[str, str | float | None]


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark's parser ``--json F``."""
    parser.add_argument("--json", type=Path, metavar="F", help="file for the rows, as JSON")


def write(path: Path | None, rows: Sequence[Row], **facts: object) -> None:
    """Write what was measured, on which machine, and how; None writes nothing.

    Raises:
        DataError: if the file cannot be written.
    """
    if path is not None:
        values = {"machine": machine(), **facts, "rows": list(rows)}
        write_text(path, json.dumps(values, indent=1) + "\n")
