"""Videos as tests look at them: every face of every frame in a list."""

from __future__ import annotations

from pathlib import Path

from emotion.analyzer import Analyzer
from emotion.video import VideoOptions, analyze_video
from emotion.video.people import Sighting


def sightings(
    analyzer: Analyzer, video: Path | str, out: Path | None = None, **options: float | bool
) -> tuple[int, list[Sighting]]:
    """Analyze a video; return how many frames were, and every face of each."""
    seen: list[Sighting] = []
    people = analyze_video(analyzer, video, out, [seen.append], VideoOptions(**options))  # type: ignore[arg-type]
    return people.frames, seen
