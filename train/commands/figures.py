"""``python -m train figures``: the figures of the results, from the numbers that were measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emotion.atlas import ATLAS, atlas_svg, read_atlas
from emotion.evaluation import RESULTS, read_evaluations
from emotion.files import write_bytes, write_text
from train.scoring.history import read_history


@dataclass(frozen=True)
class Arguments:
    """Draw confusion, precision over recall, reliability, robustness and learning curves.

    Only what the files hold is drawn: robustness needs evaluate --degrade, learning curves --log.

    Example: python -m train figures --log docs/runs/cnn/log.jsonl
    """

    out: Path = Path("docs/figures")
    """Folder of the figures."""
    results: Path = RESULTS
    """File that python -m train results wrote."""
    log: tuple[Path, ...] = ()
    """log.jsonl of the run that made the weights, or of those that did one after the other."""
    atlas: Path = ATLAS
    """File that python -m train explain --atlas wrote; nothing is drawn where there is none."""
    format: Literal["svg", "png"] = "svg"
    """Of the files."""


def run(arguments: Arguments) -> int:
    """Draw and write every figure.

    Raises:
        DataError: if a file cannot be read, or is something else, or ``out`` cannot be written.
    """
    from train.scoring.figures import render

    results = read_evaluations(arguments.results)
    lines = [line for path in arguments.log for line in read_history(path)]
    history = [{**line, "epoch": epoch} for epoch, line in enumerate(lines, 1)]
    for name, data in render(results, history, arguments.format).items():
        write_bytes(arguments.out / name, data)
        print(f"Wrote {arguments.out / name}.")
    if (atlas := read_atlas(arguments.atlas)) is not None:
        write_text(arguments.out / "atlas.svg", atlas_svg(atlas))
        print(f"Wrote {arguments.out / 'atlas.svg'}.")
    return 0
