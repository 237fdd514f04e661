"""Visitors who want nothing but to keep others out, and what honest visitors keep beside them.

Attackers run at the lowest priority: elsewhere they would have processors of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from multiprocessing.synchronize import Event
from typing import NamedTuple

from benchmarks import _rows
from benchmarks._clients import Client, Watch, camera_frame, in_background, open_silently, portrait
from tests.support.visit import App

HONEST = ("127.0.0.2", "127.0.0.3")
HOSTILE = "127.0.0.9"
SETTLING = 3.0
_NAMERS = 4  # threads, so that a request that waits delays no other

Attack = Callable[[App], AbstractContextManager[None]]


def _names(app: App, address: str, data: str) -> Iterator[None]:
    client = Client(app, address)

    def step(number: int) -> None:
        began = time.monotonic()
        client.frame(data, f"name{number}-{began}")
        time.sleep(max(0.0, began + _NAMERS / 8 - time.monotonic()))

    with in_background(_NAMERS, step):
        yield


@contextmanager
def names_used_once(app: App) -> Iterator[None]:
    """Eight requests a second, without a picture, each under a new name."""
    yield from _names(app, HOSTILE, "data:image/jpeg;base64,")


@contextmanager
def names_beside_a_visitor(app: App) -> Iterator[None]:
    """The same from the address of an honest visitor, as behind a school's router."""
    yield from _names(app, HONEST[0], "data:image/jpeg;base64,")


@contextmanager
def pictures_under_names_used_once(app: App) -> Iterator[None]:
    """The same with real frames."""
    yield from _names(app, HOSTILE, camera_frame())


@contextmanager
def uploads_without_end(app: App) -> Iterator[None]:
    """Four loops that upload 8 MB each time and ask for nothing."""
    client, content = Client(app, HOSTILE), b"\xff\xd8" + bytes(8 * 1024 * 1024 - 2)
    files = {"files": ("a.jpg", content)}
    with in_background(4, lambda _: client.http.post("/gradio_api/upload", files=files)):
        yield


@contextmanager
def connections_that_say_nothing(app: App) -> Iterator[None]:
    """1,100 connections that are opened again as soon as they end."""
    over = threading.Event()
    with ExitStack() as stack:

        def keep() -> None:
            while not over.is_set():
                for _ in range(1100):
                    with suppress(OSError):
                        stack.enter_context(open_silently(app, HOSTILE))
                over.wait(10)

        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        yield
        over.set()
        thread.join(20)


@contextmanager
def calls_without_end(app: App) -> Iterator[None]:
    """60 loops of one address that call /classify."""
    client, content = Client(app, HOSTILE), portrait()
    with in_background(60, lambda _: client.classify(content)):
        yield


ATTACKS = (
    names_used_once,
    names_beside_a_visitor,
    pictures_under_names_used_once,
    uploads_without_end,
    connections_that_say_nothing,
    calls_without_end,
)


def measure(app: App, seconds: float) -> list[_rows.Row]:
    """Print what two honest visitors and an honest program get beside each attack.

    Args:
        app: that is attacked.
        seconds: for which each attack lasts, and each pause between two.

    Returns:
        A row for each attack; ``kept`` is the share of the live answers in the pauses before and
        after it, since others may use the machine too.
    """
    print("\n| beside | live answers a second | kept | /classify: answered, median s |")
    print("|---|---|---|---|")
    before = _beside(None, app, seconds)
    _print("nobody", before, 1.0)
    rows: list[_rows.Row] = []
    for attack in ATTACKS:
        name = attack.__name__.replace("_", " ")
        during = _beside(attack, app, seconds)
        time.sleep(SETTLING)
        after = _beside(None, app, seconds)
        kept = 2 * during.rate / (before.rate + after.rate)
        _print(name, during, kept)
        rows.append(
            {
                "attack": name,
                "live_answers_per_s": during.rate,
                "undisturbed_per_s": (before.rate + after.rate) / 2,
                "kept": kept,
                "classify_answered": during.answered,
                "classify_median_s": during.median,
            }
        )
        before = after
    return rows


class _Got(NamedTuple):
    """What honest visitors got: live answers a second, and of /classify the share and seconds."""

    rate: float
    answered: float
    median: float


def _print(name: str, got: _Got, kept: float) -> None:
    print(
        f"| {name} | {got.rate:.1f} | {kept:.0%} | {got.answered:.0%}, {got.median:.2f} |",
        flush=True,
    )


@contextmanager
def _elsewhere(attack: Attack | None, app: App) -> Iterator[None]:
    """Attack from a process of its own, so that only the machine is shared with honest visitors."""
    if attack is None:
        yield
        return
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    process = context.Process(target=_run, args=(attack, app, ready, over), daemon=True)
    process.start()
    ready.wait(120)
    yield
    over.set()
    process.join(60)
    if process.is_alive():
        process.kill()


def _run(attack: Attack, app: App, ready: Event, over: Event) -> None:
    os.nice(19)
    with attack(app):
        ready.set()
        over.wait()


def _beside(attack: Attack | None, app: App, seconds: float) -> _Got:
    program, content = Client(app, "127.0.0.4"), portrait()
    watches = [Watch(app, address, f"honest{address}") for address in HONEST]
    with _elsewhere(attack, app):
        time.sleep(SETTLING)
        began, first = time.monotonic(), sum(watch.answers for watch in watches)
        tries, times = 0, []
        while (passed := time.monotonic() - began) < seconds:
            tries += 1
            if program.classify(content):
                times.append(time.monotonic() - began - passed)
            time.sleep(1)
        rate = (sum(watch.answers for watch in watches) - first) / (time.monotonic() - began)
    for watch in watches:
        watch.stop()
    return _Got(rate, len(times) / tries, statistics.median(times) if times else float("nan"))
