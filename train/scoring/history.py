"""What a run logs: one line of numbers per finished epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotion.errors import DataError
from emotion.files import write_text

LOG = "log.jsonl"
"""Name of the file in the folder of a run."""

UNRECORDED = "an unrecorded precision"
"""What stands for the precision of runs from before it was logged."""

Epoch = dict[str, Any]


def to_lines(history: Sequence[Epoch]) -> str:
    """Return what the file holds: one JSON object per line."""
    return "".join(json.dumps(line) + "\n" for line in history)


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write the log of a run.

    Raises:
        DataError: if it cannot be written.
    """
    write_text(folder / LOG, to_lines(history))


def read_history(path: Path) -> list[Epoch]:
    """Read the log of a run.

    Raises:
        DataError: if the file cannot be read or holds something else.
    """
    try:
        history = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise DataError(f"{path} is no log of a training ({reason}).") from None
    if not history or not all(isinstance(line, dict) for line in history):
        raise DataError(f"{path} holds no epochs of a training.")
    return history


def precision_of(folder: Path) -> str:
    """Return in which precision the epochs of a run were trained, one after the other."""
    lines = read_history(folder / LOG)
    return " then ".join(dict.fromkeys(line.get("precision", UNRECORDED) for line in lines))


def seconds_of(folder: Path) -> float:
    """Return how long the epochs of a run took together, in seconds."""
    return float(sum(line["seconds"] for line in read_history(folder / LOG)))
