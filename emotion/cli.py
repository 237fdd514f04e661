"""The shell's way in: ``python -m emotion``, installed as ``sep-emotion``."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion import __version__, page
from emotion.errors import ConfigError, DataError, EmotionError, ImageError, imports_explained
from emotion.files import check_target, write_text
from emotion.folders import list_pictures
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.reliability import MIN_SCORE, RELIABLE

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.cover import CoverTest
    from emotion.result import FaceResult

_EXAMPLES = """examples:
  python -m emotion classify portrait.jpg
  python -m emotion classify photos/ --csv scores.csv
  python -m emotion classify group.jpg --all-faces --json faces.json
  python -m emotion classify crops/ --no-detect --weights runs/mine
"""

_VIDEO_EXAMPLES = """examples:
  python -m emotion video clip.mov
  python -m emotion video clip.mov --csv clip.csv --out boxes.mp4 --heat

The copy is H.264, which browsers and players read, with the times and the sound of the video.
"""


@dataclass(frozen=True)
class Classified:
    """One picture and its faces, explained or not, or why it could not be read."""

    path: Path
    faces: list[FaceResult] = field(default_factory=list)
    tests: list[CoverTest | None] = field(default_factory=list)
    error: str | None = None


def main(argv: Sequence[str] | None = None, program: str = "sep-emotion") -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; by default those of the process.
        program: its name in help texts.

    Returns:
        Exit code: 0 if at least one picture was read, 2 otherwise or for unusable arguments.
    """
    arguments = _parser(program).parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files may hold any bytes
    try:
        with imports_explained():
            return int(arguments.run(arguments))
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; no file was written.", file=sys.stderr)
        return 130


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Six facial expressions, and why.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    classify = commands.add_parser(
        "classify",
        help="classify the faces of pictures",
        description="Classify the largest face of every picture (or all faces).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="picture or folder")
    classify.add_argument("--csv", type=Path, metavar="F", help="write one row per picture")
    classify.add_argument("--json", type=Path, metavar="F", help="write everything as JSON")
    classify.add_argument("--all-faces", action="store_true", help="every face, not the largest")
    classify.add_argument(
        "--no-detect", action="store_true", help="the pictures are crops: take each as one face"
    )
    classify.set_defaults(run=_classify)
    video = commands.add_parser(
        "video",
        help="classify the faces of a video, frame by frame",
        description="Follow the faces of a video, smoothed over time.",
        epilog=_VIDEO_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    video.add_argument("path", type=Path, metavar="IN", help="video or GIF")
    video.add_argument("--out", type=Path, metavar="F.mp4", help="write a copy with boxes")
    video.add_argument("--csv", type=Path, metavar="F", help="write one row per face and frame")
    video.add_argument("--heat", action="store_true", help="draw heat maps on the copy too")
    video.set_defaults(run=_video)
    for command in (classify, video):
        command.add_argument("--weights", metavar="SPEC", help=page.WEIGHTS_HELP)
        command.add_argument(
            "--min-score",
            type=_share,
            default=MIN_SCORE,
            metavar="S",
            help="lowest confidence of the detector that counts as a face, 0 to 1 (default: "
            f"{MIN_SCORE}; below {RELIABLE} the answer is never sure)",
        )
        command.add_argument(
            "--convention",
            metavar="CORPUS",
            help="answer as this corpus is labelled (fer2013, raf-db, affectnet), or common "
            "(default: what the weights say)",
        )
    opened = commands.add_parser(
        "page", help="open the page", description="Serve the page in a browser."
    )
    page.add_arguments(opened)
    opened.set_defaults(run=_page)
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
    return value


def _page(arguments: argparse.Namespace) -> int:
    page.serve(arguments, page.DEPLOYMENT)
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    for target in (arguments.csv, arguments.json):
        if target is not None:
            check_target(target)
    paths = _pictures(arguments.paths)
    analyzer = _analyzer(arguments)
    results: list[Classified] = []
    for path in paths:
        result = _classify_file(analyzer, path, arguments)
        results.append(result)
        if result.error is not None:
            print(f"{path}: {result.error}", file=sys.stderr)
        elif not result.faces:
            hint = "try --no-detect if the picture is a crop of a face"
            print(f"{path}: no face was found; {hint}.", file=sys.stderr)
        if arguments.csv is None and arguments.json is None:
            _print(result)
    if arguments.csv is not None:
        write_text(arguments.csv, _to_csv(results, all_faces=arguments.all_faces))
    if arguments.json is not None:
        values = [_to_json(result) for result in results]
        write_text(arguments.json, json.dumps(values, indent=2) + "\n")
    if unread := sum(result.error is not None for result in results):
        print(f"{unread} of {len(paths)} files could not be read.", file=sys.stderr)
    return 0 if unread < len(paths) else 2


def _classify_file(analyzer: Analyzer, path: Path, arguments: argparse.Namespace) -> Classified:
    limit = None if arguments.all_faces else 1
    try:
        image = decode_image(path)
        faces = analyzer.analyze(
            image,
            detect=not arguments.no_detect,
            max_faces=limit,
            min_score=arguments.min_score,
        )
        tests = analyzer.explain_all(faces) if arguments.json is not None else []
    except ImageError as error:
        return Classified(path, error=str(error))
    except MemoryError:
        return Classified(path, error="it does not fit into memory; reduce it and try again.")
    return Classified(path, faces, tests)


def _video(arguments: argparse.Namespace) -> int:
    if arguments.heat and arguments.out is None:
        raise ConfigError("Heat maps are drawn on the copy; name it with --out F.mp4.")
    from emotion.video import analyze_video, check_paths, summary

    check_paths(arguments.path, arguments.out, arguments.csv)
    analyzer = _analyzer(arguments)
    frames, sightings = analyze_video(
        analyzer,
        arguments.path,
        arguments.out,
        arguments.csv,
        heat=arguments.heat,
        min_score=arguments.min_score,
    )
    lines = summary(sightings)
    print(f"{arguments.path}: {frames} frames, {len(lines)} faces", *lines, sep="\n")
    return 0


def _analyzer(arguments: argparse.Namespace) -> Analyzer:
    """Load weights, and say on stderr if others than the asked ones run."""
    # torch takes a second to import, which --help need not wait for.
    from emotion.analyzer import Analyzer
    from emotion.weights import default_spec

    spec = default_spec(page.DEPLOYMENT) if arguments.weights is None else arguments.weights
    analyzer = Analyzer.from_weights(spec, convention=arguments.convention)
    if notice := analyzer.description["notice"]:
        print(notice, file=sys.stderr)
    return analyzer


def _pictures(paths: Iterable[Path]) -> list[Path]:
    """List the pictures of files and folders, folders searched to any depth, in order of name."""
    found: list[Path] = []
    for path in paths:
        try:
            folder = path.is_dir()
        except (OSError, ValueError):
            folder = False  # no name that there can be; reading it says so
        if not folder:
            found.append(path)
            continue
        listing = list_pictures(path)
        for remark in listing.remarks:
            print(remark, file=sys.stderr)
        if listing.left_out:
            names = ", ".join(sorted({file.suffix or file.name for file in listing.left_out})[:5])
            count = len(listing.left_out)
            print(
                f"{path}: {count} files left out, they are no pictures ({names}).", file=sys.stderr
            )
        found.extend(listing.pictures)
    if not found:
        names = ", ".join(str(path) for path in paths)
        raise DataError(
            f"There are no pictures in {names}; give a picture or a folder of pictures."
        )
    return found


def _print(result: Classified) -> None:
    for number, face in enumerate(result.faces, 1):
        name = str(result.path) if len(result.faces) == 1 else f"{result.path} face {number}"
        order = face.probabilities.argsort()[::-1]
        answer = ", ".join(f"{LABELS[i]} {face.probabilities[i]:.2f}" for i in order)
        told = f"{face.answer} ({face.reason})" if face.reason else face.answer
        print(f"{name}: {answer if told == face.label else f'{told}: {answer}'}")


def _to_csv(results: list[Classified], *, all_faces: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["filepath", *LABELS, *(["face", "x", "y", "width", "height"] if all_faces else [])]
    )
    for result in results:
        if not result.faces:
            writer.writerow([result.path, *[""] * (11 if all_faces else 6)])
        for number, face in enumerate(result.faces, 1):
            row = [result.path, *(f"{value:.4f}" for value in face.probabilities)]
            writer.writerow([*row, number, *_rectangle(face)] if all_faces else row)
    return text.getvalue()


def _rectangle(face: FaceResult) -> list[str]:
    """Return x, y, width and height in px of the photo; empty cells if nothing was detected."""
    if face.box is None:
        return [""] * 4
    x0, y0, x1, y1 = (float(value) for value in face.box)
    return [f"{value:.1f}" for value in (x0, y0, x1 - x0, y1 - y0)]


def _to_json(result: Classified) -> dict[str, Any]:
    return {
        "filepath": str(result.path),
        "error": result.error,
        "faces": [
            {
                "label": face.label,
                "answer": face.answer,
                "sure": face.sure,
                "reason": face.reason,
                "calm": None if face.calm is None else round(face.calm, 6),
                "candidates": list(face.candidates),
                "probabilities": {
                    name: round(float(value), 6)
                    for name, value in zip(LABELS, face.probabilities, strict=True)
                },
                "box": None if face.box is None else face.box.round(2).tolist(),
                "landmarks": None if face.landmarks is None else face.landmarks.round(2).tolist(),
                "score": face.score,
                "why": None if test is None else _why(test),
            }
            for face, test in zip(result.faces, result.tests, strict=True)
        ],
    }


def _why(test: CoverTest) -> dict[str, Any]:
    """Say what decides about the strongest class, and its probability without each part."""
    found = test.finding()
    from emotion.cover import PARTS  # OpenCV, which --help need not wait for

    covered = test.covered[:, LABELS.index(found.label)]
    return {
        "sentence": str(found),
        "decisive": found.part,
        "turns_into": found.other,
        "covered": {
            part: round(float(value), 6) for part, value in zip(PARTS, covered, strict=True)
        },
    }
