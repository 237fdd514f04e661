"""What visitors with a camera get from the page, and what their visit costs the server (Linux).

Starts the app and a Chromium with a camera that shows one face, all on this machine: first one
visitor, then several at once for as long as is asked, who each have a browser of their own.

    python -m benchmarks.visitors [--minutes N] [--visitors N]
    python -m benchmarks.visitors --hostile SECONDS [--only NAME ...]

A thorough run has --minutes 10: whether memory grows shows after a while only. With --hostile there
is no browser: programs are the honest visitors, and others keep them out as well as they can.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks import _hostile, _rows
from benchmarks._chromium import find_or_say
from benchmarks._machine import machine
from tests.support.visit import App, camera_flags, one_face, served, write_clip

ALONE = 30.0  # seconds of the visitor who is alone
SETTLING = 5.0  # seconds that are not measured after a start
WARM_UP = 0.2  # share of the long visit in which memory may still grow


@dataclass
class Visit:
    """What one visitor saw, second by second.

    Attributes:
        rates: analysed frames per second, as the status line says.
        latencies: ms from the picture's capture to the drawn answer, median of each second.
        shown: frames per second that the video showed, over the whole visit.
    """

    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    shown: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Where the visitors meet: the app, what drives and which is the browser, and their camera."""

    app: App
    driver: Playwright
    browser: str
    clip: Path


def main() -> int:
    """Measure and print a table; exit code 2 and one sentence if there is no browser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1, help="of the visitors together")
    parser.add_argument("--visitors", type=int, default=2)
    parser.add_argument(
        "--hostile", type=float, metavar="SECONDS", help="attack for so long in each way instead"
    )
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="of attacks, as 'calls without end'"
    )
    _rows.add_option(parser)
    arguments = parser.parse_args()
    if arguments.hostile:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "files")
            variables = {**os.environ, "GRADIO_TEMP_DIR": str(files)}
            with served(Path(folder, "app.log"), variables) as app:
                print(machine())
                rows = _hostile.measure(app, files, arguments.hostile, arguments.only)
        _rows.write(arguments.json, rows, seconds=arguments.hostile)
        return 0
    browser = find_or_say()
    if browser is None:
        return 2
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        cache = Path(folder, "cache")
        cache.mkdir()
        variables = {"HF_HOME": str(cache), "GRADIO_TEMP_DIR": str(cache / "gradio")}
        with served(Path(folder, "app.log"), {**os.environ, **variables}) as app:
            clip = write_clip(Path(folder, "camera.mjpeg"), one_face())
            print(machine(), end="\n\n")
            scene = Scene(app, driver, browser, clip)
            rows = measure(scene, cache, arguments.minutes, arguments.visitors)
    _rows.write(arguments.json, rows, minutes=arguments.minutes)
    return 0


def measure(scene: Scene, cache: Path, minutes: float, visitors: int) -> list[_rows.Row]:
    """Print what one visitor gets, what several get, and memory and cache of the server.

    Returns:
        A row for one visitor and for several; the second has the server's memory too.
    """
    print("| visitors | answers a second, each | round trip, median (p95), ms | video, frames/s |")
    print("|---|---|---|---|")
    alone = _row(watch(scene, 1, ALONE)[0])
    before = _files(cache)
    visits, memory = watch(scene, visitors, minutes * 60)
    together = _row(visits)
    late = memory[int(WARM_UP * len(memory)) :]
    slope = np.polyfit([when for when, _ in late], [size for _, size in late], 1)[0]
    print(
        f"\nMemory of the server over {minutes:g} minutes of {visitors} visitors: "
        f"{memory[0][1]:.0f} MB at the start, {memory[-1][1]:.0f} MB at the end, "
        f"{slope * 60:+.2f} MB a minute after the first {WARM_UP:.0%}; its cache folder: "
        f"{'unchanged' if _files(cache) == before else 'changed'} ({len(before)} files)."
    )
    grown = {"memory_start_mb": memory[0][1], "memory_end_mb": memory[-1][1]}
    return [alone, {**together, **grown, "memory_mb_per_min": float(slope) * 60}]


def watch(
    scene: Scene, visitors: int, seconds: float, place: str = "server"
) -> tuple[list[Visit], list[tuple[float, float]]]:
    """Let visitors watch themselves, answered by the server or by their device.

    Returns:
        What each saw, and the server's memory as (seconds, MB), about once a second.
    """
    visits, memory = [Visit() for _ in range(visitors)], []
    with ExitStack() as stack:
        pages = []
        for _ in range(visitors):
            flags = ["--no-sandbox", *camera_flags(scene.clip)]
            chromium = scene.driver.chromium.launch(executable_path=scene.browser, args=flags)
            stack.callback(chromium.close)
            page = chromium.new_context(locale="en-US").new_page()
            choice = f"localStorage.setItem('emotion-where', '{{\"choice\": \"{place}\"}}')"
            page.add_init_script(choice)
            page.goto(scene.app.url)
            page.locator("[data-do=start]").click()
            page.wait_for_selector(".em-targets button", timeout=120_000)
            pages.append(page)
        time.sleep(SETTLING)
        began, first = time.monotonic(), [_shown(page) for page in pages]
        while (passed := time.monotonic() - began) < seconds:
            memory.append((passed, _resident(scene.app.pid)))
            for visit, page in zip(visits, pages, strict=True):
                _read_pace(visit, page)
            time.sleep(max(0.0, 1 - (time.monotonic() - began - passed)))
        for visit, page, frames in zip(visits, pages, first, strict=True):
            visit.shown = (_shown(page) - frames) / (time.monotonic() - began)
    return visits, memory


def _read_pace(visit: Visit, page: Page) -> None:
    text = page.locator(".em-pace").text_content() or ""
    numbers = re.match(r"([\d.]+) per second · answer after (\d+) ms", text)
    if numbers:  # it is empty while the server is busy
        visit.rates.append(float(numbers[1]))
        visit.latencies.append(float(numbers[2]))


def _shown(page: Page) -> int:
    script = "document.querySelector('.em-stage video').getVideoPlaybackQuality().totalVideoFrames"
    return int(page.evaluate(script))


def _resident(pid: int) -> float:
    """Return the memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _row(visits: Sequence[Visit]) -> dict[str, float]:
    """Print a row, and return the means over the visitors."""
    rates = " and ".join(f"{statistics.fmean(visit.rates):.1f}" for visit in visits)
    latencies = [latency for visit in visits for latency in visit.latencies]
    shown = " and ".join(f"{visit.shown:.0f}" for visit in visits)
    median, p95 = statistics.median(latencies), float(np.percentile(latencies, 95))
    print(f"| {len(visits)} | {rates} | {median:.0f} ({p95:.0f}) | {shown} |", flush=True)
    return {
        "visitors": len(visits),
        "answers_per_s": statistics.fmean(statistics.fmean(visit.rates) for visit in visits),
        "round_trip_median_ms": median,
        "round_trip_p95_ms": p95,
        "video_frames_per_s": statistics.fmean(visit.shown for visit in visits),
    }


if __name__ == "__main__":
    sys.exit(main())
