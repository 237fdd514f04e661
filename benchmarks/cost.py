"""What a visitor costs the server: processor time and bytes of a visit, a frame, a picture (Linux).

Each is asked for many times in a row, from an app in a process of its own; the time is that of its
processor, the child that decodes included.

    python -m benchmarks.cost [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Request, sync_playwright

from benchmarks import _rows
from benchmarks._clients import Client, camera_frame, photo_of, portrait
from benchmarks._machine import machine
from tests.support.browser import find_browser
from tests.support.visit import App, served


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40)
    _rows.add_option(parser)
    options = parser.parse_args()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "app.log", environment) as app,
    ):
        rows = [measure_page(app), *measure_calls(app, options.repeats)]
    print(f"{machine()}; one thread, {options.repeats} calls each")
    for row in rows:
        print(
            f"{row['what']:34} {row['cpu_ms']:7.1f} ms of a core, {row['bytes_up']:8} bytes up, "
            f"{row['bytes_down']:8} down"
        )
    _rows.write(options.json, rows, repeats=options.repeats)


def measure_page(app: App) -> dict[str, str | float | None]:
    """Open the page in a browser that knows nothing of it."""
    sizes: list[dict[str, int]] = []

    def note(request: Request) -> None:
        sizes.append(request.sizes())

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser())
        page = browser.new_page()
        page.on("requestfinished", note)
        before = cpu_seconds(app.pid)
        page.goto(app.url, wait_until="networkidle")
        page.wait_for_timeout(2000)
        spent = cpu_seconds(app.pid) - before
        browser.close()
    up = sum(size["requestHeadersSize"] + size["requestBodySize"] for size in sizes)
    down = sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)
    return row("the page, opened the first time", spent, 1, up, down)


def measure_calls(app: App, repeats: int) -> list[dict[str, str | float | None]]:
    """Ask for frames, photos and pictures; headers are not counted."""
    client = Client(app, "127.0.0.1")
    small, large = camera_frame((320, 240)), camera_frame()
    photo, content = photo_of(1280, 960), portrait()
    counted = [0, 0]

    def count(response: httpx.Response) -> None:
        response.read()
        counted[0] += len(response.request.content)
        counted[1] += len(response.content)

    client.http.event_hooks["response"] = [count]
    asked: dict[str, Callable[[], object]] = {
        "a live frame of 320x240": lambda: client.frame(small, "one"),
        "a live frame of 640x480": lambda: client.frame(large, "one"),
        "a photo of 1280x960 in the Photo tab": lambda: client.photo(photo),
        "POST /classify, 640x480": lambda: client.http.post("/classify", content=content),
    }
    rows = []
    for what, ask in asked.items():
        for _ in range(3):
            ask()
        counted[:] = [0, 0]
        before = cpu_seconds(app.pid)
        for _ in range(repeats):
            ask()
            time.sleep(0.22)  # within what one address may ask for
        spent = cpu_seconds(app.pid) - before
        rows.append(row(what, spent, repeats, counted[0] // repeats, counted[1] // repeats))
    return rows


def row(what: str, spent: float, calls: int, up: int, down: int) -> dict[str, str | float | None]:
    """Name the figures of one thing that was asked for."""
    return {
        "what": what,
        "cpu_ms": round(1000 * spent / calls, 1),
        "bytes_up": up,
        "bytes_down": down,
    }


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its children."""
    tasks = Path(f"/proc/{pid}/task")
    children = {
        int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()
    }
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) for child in children)


if __name__ == "__main__":
    main()
