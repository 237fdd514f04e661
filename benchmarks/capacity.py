"""How many live frames the server answers a second, and what each costs it (Linux).

Programs are the visitors, each from an address of its own, and send the next frame as soon as the
last one is answered, so that browsers take nothing of the processor. An address gets 50 a second at
most, so one or two visitors say nothing about the server.

    python -m benchmarks.capacity [--visitors N] [--seconds S] [--rounds N] [--json F]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import _rows
from benchmarks._clients import Watch, camera_frame
from benchmarks._machine import machine
from benchmarks.cost import cpu_seconds
from tests.support.visit import App, served

SETTLING = 3.0  # seconds that are not measured after the visitors came


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visitors", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    _rows.add_option(parser)
    arguments = parser.parse_args()
    sizes = {"320×240": camera_frame((320, 240)), "640×480": camera_frame()}
    rounds: dict[str, list[tuple[float, float]]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder, "app.log")) as app:
        print(machine(), end="\n\n")
        for _ in range(arguments.rounds):
            for size, jpeg in sizes.items():
                rounds[size].append(measure(app, jpeg, arguments.visitors, arguments.seconds))
    rows = []
    print("| frames | answers a second | ms of the server's processor, each |")
    print("|---|---|---|")
    for size, measured in rounds.items():
        rate, cost = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"| {size} | {rate:.0f} | {cost:.1f} |")
        rows.append({"frames": size, "answers_per_s": rate, "cpu_ms": cost})
    _rows.write(arguments.json, rows, visitors=arguments.visitors, seconds=arguments.seconds)
    return 0


def measure(app: App, jpeg: bytes, visitors: int, seconds: float) -> tuple[float, float]:
    """Let visitors send a frame again and again.

    Returns:
        Answers a second of all of them together, and ms of processor time for each answer.
    """
    watches = [
        Watch(app, f"127.0.1.{number}", f"v{number}", jpeg) for number in range(1, visitors + 1)
    ]
    try:
        time.sleep(SETTLING)
        began, spent = time.monotonic(), cpu_seconds(app.pid)
        before = sum(watch.answers for watch in watches)
        time.sleep(seconds)
        answers = sum(watch.answers for watch in watches) - before
        spent, passed = cpu_seconds(app.pid) - spent, time.monotonic() - began
    finally:
        for watch in watches:
            watch.stop()
    return answers / passed, 1000 * spent / max(answers, 1)


if __name__ == "__main__":
    raise SystemExit(main())
