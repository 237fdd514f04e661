"""How much a first visit to the page fetches, and how long until Start and the tabs can be pressed.

Each visit is a new browser without a cache, on this machine. Other checkouts take turns with this
one; compare the ratios.

    python -m benchmarks.page [--rounds N] [--against CHECKOUT] [--json F]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks import _rows
from benchmarks._chromium import find_or_say
from benchmarks._machine import machine
from tests.support.visit import REPOSITORY, served

AIM = 1.3  # times the other checkout
_STRAGGLERS = 1000  # ms


def main() -> int:
    """Measure and print a table; exit code 2 and one sentence if there is no browser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="visits of each checkout")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another one, as it was")
    _rows.add_option(parser)
    arguments = parser.parse_args()
    browser = find_or_say()
    if browser is None:
        return 2
    checkouts = {"this checkout": REPOSITORY}
    if arguments.against:
        checkouts["the other one"] = arguments.against
    rows = measure(browser, checkouts, max(1, arguments.rounds))
    print(f"{machine()}; median of {arguments.rounds} visits\n")
    print("| page | KB | requests | seconds to Start | seconds to the tabs |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['page']} | {row['kb']:.0f} | {row['requests']:.0f} | {row['start_s']:.2f} "
            f"| {row['tabs_s']:.2f} |"
        )
    if len(rows) == 2:
        ratios = [float(rows[0][key] or 0) / float(rows[1][key] or 1) for key in ("kb", "start_s")]
        print(f"\n{ratios[0]:.2f} times the bytes, {ratios[1]:.2f} times the seconds (aim {AIM})")
    _rows.write(arguments.json, rows, rounds=arguments.rounds)
    return 0


def measure(path: str, checkouts: dict[str, Path], rounds: int) -> list[_rows.Row]:
    """Visit every checkout's page, by turns.

    Returns:
        A row for each: KB and requests on the way, seconds until Start and the tabs can be pressed;
        medians.
    """
    visits: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in checkouts}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {
            name: stack.enter_context(served(folder / f"{at}.log", checkout=checkout)).url
            for at, (name, checkout) in enumerate(checkouts.items())
        }
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        for _ in range(rounds + 1):
            for name, url in urls.items():
                visits[name].append(_visit(browser, url))
        browser.close()
    rows: list[_rows.Row] = []
    for name, own in visits.items():
        columns = zip(*own[1:], strict=True)  # the first visit warms the server
        kilobytes, requests, start, tabs = (statistics.median(column) for column in columns)
        rows.append(
            {"page": name, "kb": kilobytes, "requests": requests, "start_s": start, "tabs_s": tabs}
        )
    return rows


def _visit(browser: Browser, url: str) -> tuple[float, float, float, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    session = context.new_cdp_session(page)
    sizes: list[float] = []
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    began = time.perf_counter()
    page.goto(url)
    page.locator(".em-live [data-do=start]").first.click(trial=True)
    start = time.perf_counter() - began
    page.locator("#photo-tab-button").click(trial=True)
    tabs = time.perf_counter() - began
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(_STRAGGLERS)  # the network may have been idle before Gradio came
    context.close()
    return sum(sizes) / 1024, float(len(sizes)), start, tabs


if __name__ == "__main__":
    sys.exit(main())
