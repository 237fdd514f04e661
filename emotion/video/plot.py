"""A picture of a video: how each person looked, over time."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from emotion.labels import CALM, COLORS, LABELS, UNSURE_COLOR

if TYPE_CHECKING:
    from emotion.video.people import Sighting

MOST_BINS = 1024
"""Steps of time that are told apart; a longer video gets longer steps."""

MOST_PEOPLE = 6
"""People that are drawn: those who were seen longest."""

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 1280, 116, 24, 64, 44
_PANEL, _CURVES, _BAND = 170, 112, 14  # px: of a person, of the curves in it, of the answers
_EXACT = 1e-6  # of a step: a frame's time is a rounded number
_SCALE = 2  # drawn larger and reduced, since Pillow's lines have hard edges
_INK, _QUIET, _RULE, _CALM_COLOR = "#22201d", "#6b665f", "#dedad3", "#e8e4dc"


@dataclass
class _Bin:
    seconds: float = 0.0
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(LABELS)))
    answers: dict[str, float] = field(default_factory=dict)

    def add(self, other: _Bin) -> None:
        self.seconds += other.seconds
        self.sums += other.sums
        for answer, seconds in other.answers.items():
            self.answers[answer] = self.answers.get(answer, 0.0) + seconds


class Timeline:
    """Means over steps of time; the steps double when there are too many, so memory is bounded.

    Args:
        start_s: where the picture begins.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self.start_s = start_s
        self.step_s = 0.1
        self.people: dict[int, dict[int, _Bin]] = {}
        """Number of the face -> step -> what was seen in it."""

    def add(self, one: Sighting) -> None:
        """Take one face of one frame, which stands for as long as the one before it did."""
        begin = max(one.time_s - self.start_s, 0.0)
        while begin + one.held_s >= MOST_BINS * self.step_s:
            self._double()
        first = int(begin / self.step_s + _EXACT)
        steps = range(
            first, max(first + 1, int(np.ceil((begin + one.held_s) / self.step_s - _EXACT)))
        )
        part = one.held_s / len(steps)
        bins = self.people.setdefault(one.face, {})
        for at in steps:
            seen = _Bin(part, part * one.probabilities.astype(np.float64), {one.answer: part})
            bins.setdefault(at, _Bin()).add(seen)

    def means(self, face: int) -> dict[int, npt.NDArray[np.float64]]:
        """Return the mean probabilities (6,) of a person by step."""
        bins = self.people[face].items()
        return {at: one.sums / one.seconds for at, one in sorted(bins) if one.seconds}

    def _double(self) -> None:
        self.step_s *= 2
        for face, bins in self.people.items():
            merged: dict[int, _Bin] = {}
            for at, one in bins.items():
                merged.setdefault(at // 2, _Bin()).add(one)
            self.people[face] = merged


def draw_timeline(timeline: Timeline, title: str) -> bytes:
    """Draw the people who were seen longest, one below the other, as a PNG.

    Each has six curves, the mean probabilities, and below them a band, what people were told.
    """
    seconds = {
        face: sum(one.seconds for one in bins.values()) for face, bins in timeline.people.items()
    }
    shown = sorted(sorted(seconds, key=lambda face: -seconds[face])[:MOST_PEOPLE])
    canvas = _Canvas(timeline, _TOP + _PANEL * max(1, len(shown)) + _BOTTOM)
    canvas.head(title, len(seconds) - len(shown))
    for row, face in enumerate(shown):
        canvas.panel(face, _TOP + _PANEL * row)
    if not shown:
        canvas.text(_LEFT, _TOP + 40, "No face was seen.", _QUIET)
    canvas.axis(_TOP + _PANEL * max(1, len(shown)))
    return canvas.png()


class _Canvas:
    def __init__(self, timeline: Timeline, height: int) -> None:
        self._timeline = timeline
        steps = [at for bins in timeline.people.values() for at in bins]
        self._steps = max(steps, default=0) + 1
        self._image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(size=14 * _SCALE)
        self._height = height

    def text(self, x: float, y: float, words: str, color: str, anchor: str = "la") -> float:
        place = (x * _SCALE, y * _SCALE)
        self._draw.text(place, words, fill=color, font=self._font, anchor=anchor)
        return float(self._draw.textlength(words, font=self._font)) / _SCALE

    def head(self, title: str, others: int) -> None:
        more = f" (and {others} more, seen more briefly)" if others else ""
        self.text(_LEFT, 10, f"{title}{more}", _INK)
        x: float = _LEFT
        for name, color in (*COLORS.items(), ("not sure", UNSURE_COLOR), (CALM, _CALM_COLOR)):
            self._box(x, 37, x + 12, 49, color)
            x += 18 + self.text(x + 17, 34, name, _QUIET) + 16

    def panel(self, face: int, top: int) -> None:
        self.text(12, top + _CURVES / 2 - 8, f"face {face}", _INK)
        for level in (0.0, 0.5, 1.0):
            y = top + _CURVES * (1 - level)
            self._line([(_LEFT, y), (_WIDTH - _RIGHT, y)], _RULE, 1)
            self.text(_LEFT - 8, y, f"{100 * level:.0f} %", _QUIET, "rm")
        means = self._timeline.means(face)
        for index, color in enumerate(COLORS.values()):
            run: list[tuple[float, float]] = []
            before = None
            for at, mean in means.items():
                if before is not None and at != before + 1:
                    self._line(run, color, 2)
                    run = []
                y = top + _CURVES * (1 - float(mean[index]))
                run += [(self._x(at), y), (self._x(at + 1), y)]
                before = at
            self._line(run, color, 2)
        for at, one in self._timeline.people[face].items():
            told = max(one.answers, key=one.answers.__getitem__)
            color = _CALM_COLOR if told == CALM else COLORS.get(told, UNSURE_COLOR)
            y = top + _CURVES + 8
            self._box(self._x(at), y, self._x(at + 1), y + _BAND, color)

    def axis(self, top: int) -> None:
        span = self._steps * self._timeline.step_s
        choices = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
        step = next((choice for choice in choices if span / choice <= 10), span / 10)
        for number in range(int(span / step + 1e-6) + 1):
            x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * number * step / span
            self._line([(x, _TOP), (x, top)], _RULE, 1)
            self.text(
                x, top + 6, _clock(self._timeline.start_s + number * step, step), _QUIET, "ma"
            )

    def png(self) -> bytes:
        buffer = io.BytesIO()
        size = (_WIDTH, self._height)
        self._image.resize(size, Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    def _x(self, at: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / self._steps

    def _line(self, points: list[tuple[float, float]], color: str, width: int) -> None:
        if points:
            scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
            self._draw.line(scaled, fill=color, width=width * _SCALE, joint="curve")

    def _box(self, x0: float, y0: float, x1: float, y1: float, color: str) -> None:
        # Without their last pixel, which belongs to what follows.
        right = max(x1 * _SCALE - 1, x0 * _SCALE)
        self._draw.rectangle((x0 * _SCALE, y0 * _SCALE, right, y1 * _SCALE), fill=color)


def _clock(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
