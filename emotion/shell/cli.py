"""The shell's way in: ``python -m emotion``, installed as ``sep-emotion``."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from emotion import __version__, page
from emotion.errors import EmotionError, imports_explained
from emotion.reliability import MIN_SCORE, RELIABLE

_EXAMPLES = """examples:
  python -m emotion classify portrait.jpg
  python -m emotion classify photos/ --csv scores.csv --workers 2
  python -m emotion classify 'photos/**/*.jpg' --csv scores.csv --columns answer,sure,box --resume
  curl -sL ADDRESS | python -m emotion classify - --json -
  python -m emotion classify group.jpg --all-faces --json faces.json
  python -m emotion classify crops/ --no-detect --weights runs/mine
"""

_VIDEO_EXAMPLES = """examples:
  python -m emotion video clip.mov
  python -m emotion video clip.mov --csv clip.csv --out boxes.mp4 --heat
  python -m emotion video film.mkv --every 1 --from 12:30 --to 1:02:00 --plot film.png
  python -m emotion video 'takes/*.mp4' --csv takes.csv --plot plots/
  python -m emotion video rtsp://192.168.1.20/live --csv door.csv     (Ctrl-C ends it)

The copy is H.264, which browsers and players read, with the times and the sound of the video.
"""


_COLUMNS = ("label", "answer", "sure", "calm", "score", "reason", "box")  # emotion.table.COLUMNS


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
    except BrokenPipeError:  # whoever reads has seen enough; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


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
    classify.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="picture, folder, pattern in quotes ('**' is any folder), or - for standard input",
    )
    classify.add_argument(
        "--csv", type=Path, metavar="F", help="write one row per picture; - is standard output"
    )
    classify.add_argument(
        "--json", type=Path, metavar="F", help="write everything as JSON; - is standard output"
    )
    classify.add_argument(
        "--columns",
        type=_columns,
        default=(),
        metavar="NAMES",
        help=f"columns to add to the CSV file, with commas between: {', '.join(_COLUMNS)}, or all",
    )
    classify.add_argument("--all-faces", action="store_true", help="every face, not the largest")
    classify.add_argument(
        "--no-detect", action="store_true", help="the pictures are crops: take each as one face"
    )
    classify.add_argument(
        "--workers",
        type=_count,
        default=1,
        metavar="N",
        help="processes of one thread each, for many pictures (default: this one, all threads)",
    )
    classify.add_argument(
        "--resume",
        action="store_true",
        help="go on where a run was stopped: what it finished stands in F.partial",
    )
    classify.set_defaults(run=_classify)
    video = commands.add_parser(
        "video",
        help="classify the faces of a video, frame by frame",
        description="Follow the faces of a video, smoothed over time.",
        epilog=_VIDEO_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    video.add_argument(
        "paths",
        nargs="+",
        metavar="IN",
        help="video or GIF, pattern in quotes, - for standard input, number of a camera (0 is the "
        "first), or the address of a stream",
    )
    video.add_argument(
        "--out",
        type=Path,
        metavar="F.mp4",
        help="write a copy with boxes; of several videos into this folder",
    )
    video.add_argument(
        "--csv",
        type=Path,
        metavar="F",
        help="write one row per face and frame; - is standard output",
    )
    video.add_argument(
        "--plot",
        type=Path,
        metavar="F.png",
        help="draw each face's expressions over time; of several videos into this folder",
    )
    video.add_argument("--heat", action="store_true", help="draw heat maps on the copy too")
    video.add_argument(
        "--every",
        type=_clock,
        default=0.0,
        metavar="SECONDS",
        help="look at a frame every so often only, and leave the others out (default: at all)",
    )
    video.add_argument(
        "--from",
        dest="start",
        type=_clock,
        default=0.0,
        metavar="TIME",
        help="begin there: seconds, or minutes:seconds, or hours:minutes:seconds",
    )
    video.add_argument("--to", dest="end", type=_clock, metavar="TIME", help="stop there")
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


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 256")
    return int(text)


def _clock(text: str) -> float:
    """Read seconds, minutes:seconds or hours:minutes:seconds."""
    seconds = 0.0
    for part in text.split(":"):
        if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", part) or text.count(":") > 2:
            raise argparse.ArgumentTypeError(f"{text} is not a time, as 90, 1:30 or 1:01:30")
        seconds = 60 * seconds + float(part)
    return seconds


def _columns(text: str) -> tuple[str, ...]:
    names = _COLUMNS if text == "all" else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"{text} does not name each once, of {', '.join(_COLUMNS)}"
        )
    return names


def _page(arguments: argparse.Namespace) -> int:
    page.serve(arguments, page.DEPLOYMENT)
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    from emotion.shell import classify  # NumPy, which --help need not wait for

    return classify.run(arguments)


def _video(arguments: argparse.Namespace) -> int:
    from emotion.shell import video

    return video.run(arguments)
