"""What is lost where crop and mirror image of a followed face take turns (decision 0033).

A clip of a turning head is played at several sizes and rates. Each way to look at it gets the same
faces, and what is told is compared with both views in every frame.

    python -m benchmarks.views [--clip FILE ...] [--weights SPEC] [--json F]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

import emotion
from benchmarks import _rows
from benchmarks._machine import machine
from emotion import Analyzer, tracker
from emotion.analyzer import FRAME_SIDE
from emotion.calibration import softmax
from emotion.errors import EmotionError
from emotion.followed import View
from emotion.result import FaceResult
from emotion.tracker import Tracker
from emotion.video.file import VideoReader

CLIP = Path(emotion.__file__).parent / "assets/examples/clip.mp4"
WIDTHS = (480, 320, 240)  # px of the frame
RATES = (20, 15, 10, 5, 4)  # frames a second
ROUNDS = 2  # to and fro

Seen = dict[View, FaceResult]
"""What the network says about a face, by what it sees of it."""


@dataclass
class Played:
    """What a way to look at a clip told, frame by frame, and how often it took one view."""

    answers: list[str]
    strongest: list[str]
    single: int

    @property
    def changes(self) -> int:
        """How often the strongest class is another one than in the frame before."""
        return sum(one != other for one, other in pairwise(self.strongest))


def main() -> int:
    """Measure and print a table; exit code 2 and one sentence for unusable input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", nargs="+", type=Path, default=[CLIP], help="videos of one face")
    parser.add_argument("--weights", default="embedded", metavar="SPEC")
    _rows.add_option(parser)
    arguments = parser.parse_args()
    try:
        analyzer = Analyzer.from_weights(arguments.weights)
        clips = [look(analyzer, clip, width) for clip in arguments.clip for width in WIDTHS]
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    bound = analyzer.network.config.abstain_below
    rows = [row for rate in RATES for row in measure(clips, bound, rate)]
    print(f"{machine()}; {sum(map(len, clips))} frames for each rate; percent of them\n")
    print("| frames/s | views | another answer | another class | class changes | one view |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print("| {rate} | {views} |".format(**row), end="")
        for name in ("other_answer", "other_class", "changes", "single"):
            print(f" {100 * float(row[name] or 0):.1f} |", end="")
        print()
    _rows.write(arguments.json, rows)
    return 0


def look(analyzer: Analyzer, clip: Path, width: int) -> list[Seen]:
    """Classify the largest face of each frame of a clip in every view, then play to and fro."""
    seen: list[Seen] = []
    with VideoReader(clip) as frames:
        for image, _ in frames:
            size = (width, round(image.shape[0] * width / image.shape[1]))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
            found = analyzer.cutter.cut_out(small, 1, 0.5, FRAME_SIDE, None)
            for cut in found.cuts:
                views = [View.STRAIGHT, View.MIRRORED, View.BOTH]
                said = analyzer.classifier.classify(np.stack([cut.crop] * 3), views)
                sure = said.probabilities.max(1) >= analyzer.network.config.abstain_below
                seen.append(
                    {
                        view: cut.answered(
                            said.probabilities[at],
                            said.cams[at],
                            sure=bool(sure[at]),
                            calm=None if said.calm is None else float(said.calm[at]),
                        )
                        for at, view in enumerate(views)
                    }
                )
    return (seen + seen[::-1]) * ROUNDS


def measure(clips: list[list[Seen]], bound: float, rate: int) -> Iterable[_rows.Row]:
    """Play the clips at a rate in every way; yield a row for each."""
    ways: dict[str, Callable[[list[Seen]], Played]] = {
        "both each time": partial(play, bound=bound, rate=rate, both=True),
        "in turns": partial(play, bound=bound, rate=rate),
        "in turns, however near another answer is": partial(_regardless, bound=bound, rate=rate),
        "mean with the view before": partial(play, bound=bound, rate=rate, lag=True),
    }
    reference = [play(clip, bound, rate, both=True) for clip in clips]
    frames = sum(map(len, clips))
    for name, way in ways.items():
        played = [way(clip) for clip in clips]
        other = {
            field: sum(
                one != same
                for own, right in zip(played, reference, strict=True)
                for one, same in zip(getattr(own, field), getattr(right, field), strict=True)
            )
            for field in ("answers", "strongest")
        }
        yield {
            "rate": rate,
            "views": name,
            "other_answer": other["answers"] / frames,
            "other_class": other["strongest"] / frames,
            "changes": sum(one.changes for one in played) / frames,
            "single": sum(one.single for one in played) / frames,
        }


def play(
    clip: list[Seen], bound: float, rate: int, *, both: bool = False, lag: bool = False
) -> Played:
    """Follow a face as the live view does.

    Args:
        clip: what is seen of it, frame by frame.
        bound: see ``Tracker``.
        rate: frames a second.
        both: look at both views in each frame.
        lag: of a frame in which one view is looked at, take the mean with that of the one before.
    """
    tracks, played = Tracker(bound, patient=True), Played([], [], 0)
    before: FaceResult | None = None
    for number, seen in enumerate(clip):
        known = tracks.known(number / rate)
        view = known.views[0] if known and not both else View.BOTH
        played.single += view is not View.BOTH
        result = seen[view]
        shown = result if view is View.BOTH or not lag or not before else _mean(result, before)
        before = result
        (face,) = tracks.update([shown], number / rate)
        played.answers.append(face.answer)
        played.strongest.append(face.face.label)
    return played


def _regardless(clip: list[Seen], bound: float, rate: int) -> Played:
    with patch.object(tracker, "CLEAR", 0.0):
        return play(clip, bound, rate)


def _mean(face: FaceResult, before: FaceResult) -> FaceResult:
    logits = [np.log(np.maximum(one.probabilities, 1e-4)) for one in (face, before)]
    calm = None
    if face.calm is not None and before.calm is not None:
        calm = (face.calm + before.calm) / 2
    return replace(face, probabilities=softmax((logits[0] + logits[1]) / 2), calm=calm)


if __name__ == "__main__":
    sys.exit(main())
