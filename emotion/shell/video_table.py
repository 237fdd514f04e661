"""The CSV file of ``python -m emotion video``."""

from __future__ import annotations

from pathlib import Path

from emotion.labels import LABELS
from emotion.shell.cells import csv_lines
from emotion.shell.growing import GrowingFile
from emotion.video.people import Sighting

HEADER = (
    *("frame", "time", "face", "x", "y", "width", "height"),
    *LABELS,
    *("sure", "score", "calm", "answer"),
)


class Table:
    """The CSV file of one or several videos, a row per face and frame, see ``HEADER``.

    Args:
        path: of the file.
        named: begin each row with the video it is of, since there are several.
    """

    def __init__(self, path: Path, *, named: bool = False) -> None:
        self.file = GrowingFile(path)
        self._named = named
        self.file.write(csv_lines([[*(["filepath"] if named else []), *HEADER]]))

    def add(self, video: str, one: Sighting) -> None:
        """Write a row; coordinates are px of the frame."""
        x0, y0, x1, y1 = (float(value) for value in one.box)
        place = [f"{value:.1f}" for value in (x0, y0, x1 - x0, y1 - y0)]
        scores = [f"{value:.4f}" for value in one.probabilities]
        score = "" if one.score is None else f"{one.score:.4f}"
        calm = "" if one.calm is None else f"{one.calm:.4f}"
        told = [int(one.sure), score, calm, one.answer]
        before = [video] if self._named else []
        row = [*before, one.frame, f"{one.time_s:.3f}", one.face, *place, *scores, *told]
        self.file.write(csv_lines([row]))
