"""``python -m train export``: the 8-bit model that the page runs in place of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Arguments:
    """Make the 8-bit model that runs in place of the weights, two to four times as fast.

    It is calibrated on training faces and measured on validation faces, of the corpora that the
    weights were trained on, and written beside the weights if it costs less than 0.3 points of
    accuracy and keeps the heat maps (rank correlation above 0.98). Other weights in that folder are
    never run with it.

    Examples: python -m train export --weights embedded --data prepared;
    python -m train export --run runs/mine
    """

    weights: Annotated[str, tyro.conf.arg(aliases=("--run",))]
    """embedded, or the folder of a run."""
    data: Path | None = None
    """Folder that prepare wrote; by default the folder 'prepared' of the run."""
    calibration: int = 256
    """Training faces that set the ranges of 8-bit numbers, the same share of every corpus."""
    limit: int = 0
    """Measure on this many validation faces of each corpus; 0 takes all."""


def run(arguments: Arguments) -> int:
    """Export, see ``train.scoring.export.export``."""
    from train.scoring.export import export

    return export(arguments.weights, arguments.data, arguments.calibration, arguments.limit)
