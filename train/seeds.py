"""Trainings that are repeated over seeds: each is done once; tables show mean and deviation."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emotion.files import write_text
from train.config.fit import FitConfig

_FINISHED = "finished.json"

Summary = tuple[float, float]
"""Mean and sample standard deviation."""


def train_once(
    config: FitConfig,
    data: Path,
    folder: Path,
    result: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Train, from the newest checkpoint if there is one, and note that it is done.

    Args:
        config: what to train.
        data: folder that ``prepare`` wrote.
        folder: of the run.
        result: from the log line of the kept epoch to what ``finished`` returns.

    Raises:
        EmotionError: as ``train.fit.fit``.
    """
    from train.fit import fit  # torch, which --help need not wait for

    best = fit(config, data, folder, resume=(folder / "fit.json").exists())
    write_text(folder / _FINISHED, json.dumps(result(best)) + "\n")
    # They are ten times the weights, and nothing resumes a finished run.
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def finished(folder: Path) -> dict[str, Any]:
    """Return what a finished run left, or nothing."""
    try:
        return dict(json.loads((folder / _FINISHED).read_text("utf-8")))
    except FileNotFoundError:
        return {}


def summarise(values: Sequence[float]) -> Summary | None:
    """Return mean and sample standard deviation (0 of a single value); None of no value."""
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def to_cell(summary: Summary | None, style: str = ".3f") -> str:
    """Render it for a table."""
    return "" if summary is None else f"{summary[0]:{style}} ± {summary[1]:.3f}"
