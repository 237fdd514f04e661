"""How long the command lines take to show their help, in processes of their own.

python -m benchmarks.startup [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks import _rows
from benchmarks._machine import machine
from train.cli import COMMANDS

_EMOTION = ("classify", "video", "page")


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    _rows.add_option(parser)
    arguments = parser.parse_args()
    commands = [("emotion", ()), *(("emotion", (name,)) for name in _EMOTION)]
    commands += [("train", ()), *(("train", (name,)) for name in COMMANDS)]
    rows = []
    print(f"{machine()}; median of {arguments.repeats}")
    for package, words in commands:
        command = [sys.executable, "-m", package, *words, "--help"]
        seconds = statistics.median(_seconds(command) for _ in range(max(1, arguments.repeats)))
        name = " ".join((package, *words))
        print(f"{name:24}{seconds:6.2f} s", flush=True)
        rows.append({"command": name, "median_s": seconds})
    _rows.write(arguments.json, rows, repeats=arguments.repeats)
    return 0


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
