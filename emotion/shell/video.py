"""``python -m emotion video``: each video in turn; one table, a copy and a plot of each."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from emotion.errors import ConfigError, DataError
from emotion.files import is_folder, write_bytes
from emotion.page import DEPLOYMENT
from emotion.shell.growing import STDOUT, check_targets
from emotion.shell.sources import expand, is_address
from emotion.shell.video_table import Table
from emotion.video.file import VideoReader
from emotion.video.follow import VideoOptions, analyze_video
from emotion.video.people import Sighting
from emotion.video.plot import Timeline, draw_timeline

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer


@dataclass(frozen=True)
class _Job:
    video: str
    out: Path | None
    plot: Path | None


def run(arguments: argparse.Namespace) -> int:
    """Follow the faces of videos and write what is asked for.

    Returns:
        Exit code: 0; what cannot be done ends in an exception.

    Raises:
        EmotionError: if it cannot begin or go on; the files of videos before that one stay.
    """
    if arguments.heat and arguments.out is None:
        raise ConfigError("Heat maps are drawn on the copy; name it with --out F.mp4.")
    options = VideoOptions(
        every=arguments.every,
        start=arguments.start,
        end=arguments.end,
        heat=arguments.heat,
        min_score=arguments.min_score,
    )
    jobs = _jobs(arguments)
    for job in jobs:
        _check(job, options, arguments.csv)
    from emotion.analyzer import Analyzer
    from emotion.weights import default_spec

    spec = default_spec(DEPLOYMENT) if arguments.weights is None else arguments.weights
    analyzer = Analyzer.from_weights(spec, convention=arguments.convention)
    if notice := analyzer.description["notice"]:
        print(notice, file=sys.stderr)
    if arguments.csv is None:
        for job in jobs:
            _follow(analyzer, job, options, None, sys.stdout)
        return 0
    table = Table(arguments.csv, named=len(jobs) > 1)
    with table.file:
        for job in jobs:
            told = sys.stderr if arguments.csv == STDOUT else sys.stdout
            _follow(analyzer, job, options, table, told)
        table.file.finish()
    return 0


def _follow(
    analyzer: Analyzer, job: _Job, options: VideoOptions, table: Table | None, told: TextIO
) -> None:
    timeline = Timeline(options.start)

    def add_row(one: Sighting) -> None:
        if table is not None:
            table.add(job.video, one)

    sinks = [add_row, *([timeline.add] if job.plot is not None else [])]
    people = analyze_video(analyzer, job.video, job.out, sinks, options)
    if job.plot is not None:
        write_bytes(job.plot, draw_timeline(timeline, Path(job.video).name or job.video))
    faces = len(people.known)
    print(
        f"{job.video}: {people.frames} frames, {faces} faces", *people.lines(), sep="\n", file=told
    )


def _check(job: _Job, options: VideoOptions, csv: Path | None) -> None:
    """Refuse what could not be done, before anything slow begins."""
    if job.plot is not None and job.plot.suffix.lower() != ".png":
        raise ConfigError(f"The plot is written as PNG; {job.plot} must end in .png.")
    if job.out is not None and job.out.suffix.lower() != ".mp4":
        raise ConfigError(f"The copy is written as MP4; {job.out} must end in .mp4.")
    live = False
    if job.video != "-":
        with VideoReader(
            job.video, every=options.every, start=options.start, end=options.end
        ) as one:
            live = one.source.live
    targets = [job.out, csv, job.plot]
    check_targets(*targets)
    for target in targets:
        if target is None or target == STDOUT or job.video == "-" or live:
            continue
        if target.exists() and target.samefile(job.video):
            raise ConfigError(f"{target} is the video itself; choose another name.")


def _jobs(arguments: argparse.Namespace) -> list[_Job]:
    """Name the files of each video: as asked for, or after the videos in a folder."""
    videos = [
        video
        for word in arguments.paths
        for video in ([word] if is_address(word) else expand(word, "a video"))
    ]
    if len(videos) == 1:
        return [_Job(videos[0], arguments.out, arguments.plot)]
    for folder in (arguments.out, arguments.plot):
        if folder is not None and not is_folder(folder):
            raise DataError(
                f"There are {len(videos)} videos, so {folder} must be a folder that is there; their"
                " files get the names of the videos."
            )
    stems = [Path(video).stem or video for video in videos]
    if (arguments.out or arguments.plot) and len(set(stems)) < len(stems):
        double = next(stem for stem in stems if stems.count(stem) > 1)
        raise ConfigError(f"Several videos are called {double}; take them one at a time.")
    return [
        _Job(
            video,
            arguments.out and arguments.out / f"{stem}.mp4",
            arguments.plot and arguments.plot / f"{stem}.png",
        )
        for video, stem in zip(videos, stems, strict=True)
    ]
