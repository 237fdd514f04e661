"""``python -m train results``: evaluations of one network in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from emotion.errors import ConfigError
from emotion.evaluation import RESULTS
from emotion.files import write_text
from train.scoring.results import collect, read_evaluation, read_object


@dataclass(frozen=True)
class Arguments:
    """Collect evaluations of one network, and what its calibration achieves, in one file.

    The page's About tab, the model card and the figures show what the file says.

    Example: python -m train results fer.json raf.json --calibration runs/mine/calibration.json
    """

    evaluations: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files that evaluate --json wrote, in the order in which they are shown."""
    calibration: Path | None = None
    """File that calibrate, or fit, wrote beside the weights."""
    out: Path = RESULTS
    """File to write."""


def run(arguments: Arguments) -> int:
    """Collect and write.

    Raises:
        ConfigError: if no evaluation is named.
        DataError: if a file cannot be used, or they do not belong together.
    """
    if not arguments.evaluations:
        raise ConfigError("Name at least one file that evaluate --json wrote.")
    evaluations = [read_evaluation(path) for path in arguments.evaluations]
    calibration = read_object(arguments.calibration) if arguments.calibration else None
    results = collect(evaluations, calibration)
    write_text(arguments.out, json.dumps([result.to_json() for result in results], indent=1) + "\n")
    shown = ", ".join(result.name for result in results)
    print(f"Wrote {arguments.out}: {shown}.")
    return 0
