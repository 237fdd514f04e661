"""Live on the visitor's device against the server: answers, and what visitors cost the server.

First one visitor with a Chromium and a camera that shows one face, by turns on the device and on
the server, on this machine and in one run. Then the server's processor time for several visitors
over a minute (Linux). Those are programs: they fetch what a first visit on the device fetches, and
on the server send frames as fast as they are answered. No browser is in that count.

    python -m benchmarks.device [--seconds N] [--json F]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks import _rows
from benchmarks._chromium import find_or_say
from benchmarks._clients import Client, Watch
from benchmarks._machine import machine
from benchmarks.cost import cpu_seconds
from benchmarks.visitors import Scene, watch
from tests.support.visit import App, one_face, served, write_clip

ROUNDS = 2  # of each mode, by turns
CROWDS = (1, 4, 16)
VISIT = 60.0  # seconds that a visit lasts; costs are measured for less and told for so long
AIM_PACE, AIM_COST = 1 / 3, 1 / 50


def main() -> int:
    """Measure and print two tables; exit code 2 and one sentence if there is no browser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    _rows.add_option(parser)
    arguments = parser.parse_args()
    browser = find_or_say()
    if browser is None:
        return 2
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as folder, served(Path(folder, "app.log")) as app:
        with sync_playwright() as driver:
            clip = write_clip(Path(folder, "camera.mjpeg"), one_face())
            rows = pace(Scene(app, driver, browser, clip), arguments.seconds)
        rows += costs(app, arguments.seconds)
    _rows.write(arguments.json, rows, seconds=arguments.seconds)
    return 0


def pace(scene: Scene, seconds: float) -> list[_rows.Row]:
    """Print what one visitor gets in both modes; a row for each."""
    seen: dict[str, list[tuple[float, float]]] = {"device": [], "server": []}
    for _ in range(ROUNDS):
        for place, values in seen.items():
            ((visit,), _memory) = watch(scene, 1, seconds, place)
            values += zip(visit.rates, visit.latencies, strict=True)
    print("| one visitor | answers a second, median | ms to the drawn answer, median |")
    print("|---|---|---|")
    rows: list[_rows.Row] = []
    for place, values in seen.items():
        rate, latency = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"| {place} | {rate:.1f} | {latency:.0f} |")
        rows.append({"place": place, "answers_per_s": rate, "round_trip_ms": latency})
    share = float(rows[0]["answers_per_s"] or 0) / float(rows[1]["answers_per_s"] or 1)
    print(f"\nDevice over server: {share:.2f} (aim: at least {AIM_PACE:.2f}).\n")
    return rows


def costs(app: App, seconds: float) -> list[_rows.Row]:
    """Print the server's processor time for a visit of ``VISIT`` seconds; a row for each crowd."""
    print("| visitors | on the server, s | on the device, s | device over server |")
    print("|---|---|---|---|")
    rows: list[_rows.Row] = []
    for visitors in CROWDS:
        began = cpu_seconds(app.pid)
        for number in range(visitors):
            _first_visit(app, number)
        device = cpu_seconds(app.pid) - began
        began = cpu_seconds(app.pid)
        with ExitStack() as stack:
            for number in range(visitors):
                one = Watch(app, _address(number), f"visitor-{number}")
                stack.callback(one.stop)
            time.sleep(seconds)
            server = (cpu_seconds(app.pid) - began) * VISIT / seconds
        print(f"| {visitors} | {server:.1f} | {device:.2f} | {device / server:.4f} |", flush=True)
        rows.append({"visitors": visitors, "server_cpu_s": server, "device_cpu_s": device})
    print(f"\nAim for {CROWDS[-1]} visitors: device over server at most {AIM_COST:.3f}.")
    return rows


def _first_visit(app: App, number: int) -> None:
    """Fetch the page, and all that a browser without a cache fetches to answer by itself."""
    http = Client(app, _address(number)).http
    http.get("/")
    manifest = http.get("/device/manifest.json").json()
    plain = {*manifest["runtimes"]["plain"].values(), *manifest["graphs"]["plain"]}
    plain -= set(manifest["graphs"]["graphics"])
    for name, entry in manifest["files"].items():
        if name in plain:
            continue  # of the two runtimes and their graphs it fetches one, here the larger
        with http.stream("GET", f"/device/{entry['url']}") as answer:
            for _ in answer.iter_raw():
                pass


def _address(number: int) -> str:
    return f"127.0.1.{number + 1}"


if __name__ == "__main__":
    sys.exit(main())
