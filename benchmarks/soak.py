"""Whether the server's memory grows under live, photo and API traffic of all kinds (Linux).

    python -m benchmarks.soak [--minutes N]

Two live visitors, photos of ever new sizes, calls by programs, and sessions that never return, all
at a time; memory is that of the server and of the processes it started. Before that, it has seen
photos of 40 sizes, the largest first: what the networks keep depends on the largest of them.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks import _rows
from benchmarks._clients import Client, Watch, in_background, photo_of, portrait
from benchmarks._machine import machine
from tests.support.visit import App, served

SIZES = 200, 1600  # px of a photo's sides
FIRST_PHOTOS = 40
WARM_UP = 0.2  # share of the time in which memory may still grow
EVERY = 2.0  # seconds between two looks at the memory


def main() -> int:
    """Measure and print what the memory was, minute by minute, and its slope."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    _rows.add_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder, "app.log")) as app:
        print(machine())
        start = memory_mb(app.pid)
        print(f"{start:.0f} MB after the start", flush=True)
        chance = random.Random(0)
        page = Client(app, "127.0.0.4")
        page.photo(photo_of(SIZES[1], SIZES[1]))
        for _ in range(FIRST_PHOTOS - 1):
            page.photo(any_photo(chance))
        print(f"{memory_mb(app.pid):.0f} MB after {FIRST_PHOTOS} photos", flush=True)
        looks = list(watch(app, arguments.minutes * 60))
        log = Path(folder, "app.log").stat().st_size
    late = looks[int(WARM_UP * len(looks)) :]
    slope = float(np.polyfit([when for when, _ in late], [size for _, size in late], 1)[0]) * 60
    print(
        f"{looks[-1][1]:.0f} MB at the end, {slope:+.2f} MB a minute after the first "
        f"{WARM_UP:.0%} of {arguments.minutes:g} minutes; {log / 1024:.0f} KB of log"
    )
    rows: list[_rows.Row] = [{"minute": when / 60, "memory_mb": size} for when, size in looks]
    _rows.write(arguments.json, rows, start_mb=start, slope_mb_per_min=slope, log_bytes=log)
    return 0


def watch(app: App, seconds: float) -> Iterator[tuple[float, float]]:
    """Yield (seconds, MB) regularly while traffic of all kinds goes on."""
    chance = random.Random(1)
    page, program, strangers = (Client(app, f"127.0.0.{last}") for last in (4, 5, 6))
    content = portrait()

    def look_at_a_photo(_number: int) -> None:
        page.photo(any_photo(chance))
        time.sleep(1)

    def classify(_number: int) -> None:
        program.classify(content)
        time.sleep(1)

    def never_return(number: int) -> None:
        strangers.http.post(
            "/gradio_api/queue/join",
            json={"fn_index": 0, "session_hash": f"stranger{number}", "data": []},
        )
        strangers.frame(b"", f"stranger{number}")
        time.sleep(0.3)

    with ExitStack() as stack:
        for step in (look_at_a_photo, classify, never_return):
            stack.enter_context(in_background(1, step))
        for address in ("127.0.0.2", "127.0.0.3"):
            stack.callback(Watch(app, address, address).stop)
        began = time.monotonic()
        minutes = itertools.count(1)
        minute = next(minutes)
        while (passed := time.monotonic() - began) < seconds:
            size = memory_mb(app.pid)
            if passed >= 60 * minute:
                print(f"{minute:3} min {size:7.0f} MB", flush=True)
                minute = next(minutes)
            yield passed, size
            time.sleep(EVERY)


def any_photo(chance: random.Random) -> str:
    """Return a photo of a size that hardly came before."""
    return photo_of(chance.randint(*SIZES), chance.randint(*SIZES))


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and of those it started, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    sizes = []
    for one in (str(pid), *children):
        status = Path(f"/proc/{one}/status").read_text("utf-8")
        sizes += [int(size) / 1024 for size in re.findall(r"VmRSS:\s+(\d+) kB", status)]
    return sum(sizes)


if __name__ == "__main__":
    sys.exit(main())
