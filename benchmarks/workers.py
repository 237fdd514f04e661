"""How much sooner a folder is classified by several workers than by one process of one thread.

The command itself is timed, from its start to the finished table, loading of the weights included.
Run: ``python -m benchmarks.workers`` (minutes).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from benchmarks import _rows


def main() -> None:
    """Time the command and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000, help="of 640x480, one face each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    _rows.add_option(parser)
    options = parser.parse_args()
    times: dict[int, list[float]] = {1: [], options.workers: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _draw(folder / "pictures", options.pictures)
        for _ in range(options.rounds):
            for workers, taken in times.items():  # in turns, so that both see the same machine
                taken.append(_time(folder, workers))
    alone = statistics.median(times[1])
    rows = [
        {
            "workers": workers,
            "pictures": options.pictures,
            "median_s": round(statistics.median(taken), 2),
            "fastest_s": round(min(taken), 2),
            "pictures_per_s": round(options.pictures / statistics.median(taken), 1),
            "share_of_one": round(statistics.median(taken) / alone, 3),
        }
        for workers, taken in times.items()
    ]
    for row in rows:
        print(
            f"{row['workers']} worker(s): {row['median_s']} s, {row['pictures_per_s']} pictures/s, "
            f"{row['share_of_one']} of the time of one"
        )
    _rows.write(options.json, rows, rounds=options.rounds)


def _draw(folder: Path, count: int) -> None:
    """Write pictures as cameras do: 640x480 JPEGs, one portrait (public domain) at many places."""
    folder.mkdir()
    head = Image.fromarray(data.astronaut()[20:220, 120:320])
    chance = np.random.default_rng(0)
    for number in range(count):
        side = int(chance.integers(120, 240))
        frame = Image.new("RGB", (640, 480), (150, 146, 140))
        place = int(chance.integers(0, 640 - side)), int(chance.integers(0, 480 - side))
        frame.paste(head.resize((side, side)), place)
        frame.save(folder / f"{number:05}.jpg", quality=90)


def _time(folder: Path, workers: int) -> float:
    command = [sys.executable, "-m", "emotion", "classify", str(folder / "pictures")]
    command += ["--csv", str(folder / "scores.csv"), "--workers", str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    subprocess.run(command, check=True, env=environment)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
