"""Visitors who want nothing but to keep others out, and what honest visitors keep beside them.

Attackers run at the lowest priority: elsewhere they would have processors of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

from benchmarks import _rows
from benchmarks._clients import (
    Client,
    Watch,
    camera_frame,
    clip_of,
    in_background,
    open_silently,
    portrait,
)
from tests.support.visit import App

HONEST = ("127.0.0.2", "127.0.0.3")
HOSTILE = "127.0.0.9"
SETTLING = 3.0
_NAMERS = 4  # threads, so that a request that waits delays no other

Attack = Callable[[App], AbstractContextManager[None]]


def _names(app: App, address: str, jpeg: bytes) -> Iterator[None]:
    client = Client(app, address)

    def step(number: int) -> None:
        began = time.monotonic()
        client.frame(jpeg, f"name{number}-{began}")
        time.sleep(max(0.0, began + _NAMERS / 8 - time.monotonic()))

    with in_background(_NAMERS, step):
        yield


@contextmanager
def names_used_once(app: App) -> Iterator[None]:
    """Eight requests a second, without a picture, each under a new name."""
    yield from _names(app, HOSTILE, b"")


@contextmanager
def names_beside_a_visitor(app: App) -> Iterator[None]:
    """The same from the address of an honest visitor, as behind a school's router."""
    yield from _names(app, HONEST[0], b"")


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


def _clips(app: App, threads: int, content: bytes, most: int | None = None) -> Iterator[None]:
    """Have clips analysed, one after the other in each thread, or send their first bytes only."""
    client, over, names = Client(app, HOSTILE), threading.Event(), []

    def step(number: int) -> None:
        name = client.begin_clip(len(content), f"name{number}-{time.monotonic()}")
        if name is None:
            over.wait(0.5)
            return
        names.append(name)
        client.send_clip(name, content, most)
        while client.clip_state(name) in ("sending", "waiting", "working") and not over.is_set():
            time.sleep(0.2)

    with in_background(threads, step):
        yield
        over.set()
        for name in names:
            client.end_clip(name)


@contextmanager
def clips_never_finished(app: App) -> Iterator[None]:
    """Eight loops that begin clips of 100 MB, send all but their end, and ask for ever."""
    yield from _clips(app, 8, bytes(100 * 1024 * 1024), 96 * 1024 * 1024)


@contextmanager
def clips_without_end(app: App) -> Iterator[None]:
    """Four loops that have clips of 20 seconds analysed."""
    yield from _clips(app, 4, clip_of(20))


@contextmanager
def one_honest_clip(app: App) -> Iterator[None]:
    """One visitor with a clip of a minute: no attack, but something that others notice."""
    yield from _clips(app, 1, clip_of(60))


ATTACKS = (
    names_used_once,
    names_beside_a_visitor,
    pictures_under_names_used_once,
    uploads_without_end,
    connections_that_say_nothing,
    calls_without_end,
    clips_never_finished,
    clips_without_end,
    one_honest_clip,
)


def measure(app: App, folder: Path, seconds: float, only: Collection[str] = ()) -> list[_rows.Row]:
    """Print what two honest visitors and an honest program get beside each attack.

    Args:
        app: that is attacked.
        folder: where its files go.
        seconds: for which each attack lasts, and each pause between two.
        only: names of attacks, or none for all of them.

    Returns:
        A row for each attack; ``kept`` is the share of the live answers in the pauses before and
        after it, since others may use the machine too.
    """
    print("\n| beside | live answers a second | kept | /classify: answered, median s | disk, MB |")
    print("|---|---|---|---|---|")
    before = _beside(None, app, folder, seconds)
    _print("nobody", before, 1.0)
    rows: list[_rows.Row] = []
    for attack in ATTACKS:
        name = attack.__name__.replace("_", " ")
        if only and name not in only:
            continue
        during = _beside(attack, app, folder, seconds)
        time.sleep(SETTLING)
        after = _beside(None, app, folder, seconds)
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
                "disk_mb": during.disk,
            }
        )
        before = after
    return rows


class _Got(NamedTuple):
    """What honest visitors got, and what lay on disk.

    Attributes:
        rate: live answers a second.
        answered: share of the calls of /classify.
        median: seconds of one.
        disk: most MB of files that the server kept.
    """

    rate: float
    answered: float
    median: float
    disk: float


def _print(name: str, got: _Got, kept: float) -> None:
    print(
        f"| {name} | {got.rate:.1f} | {kept:.0%} | {got.answered:.0%}, {got.median:.2f} "
        f"| {got.disk:.0f} |",
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


def _beside(attack: Attack | None, app: App, folder: Path, seconds: float) -> _Got:
    program, content = Client(app, "127.0.0.4"), portrait()
    watches = [Watch(app, address, f"honest{address}") for address in HONEST]
    with _elsewhere(attack, app):
        time.sleep(SETTLING)
        began, first = time.monotonic(), sum(watch.answers for watch in watches)
        tries, times, disk = 0, [], 0.0
        while (passed := time.monotonic() - began) < seconds:
            tries += 1
            if program.classify(content):
                times.append(time.monotonic() - began - passed)
            disk = max(disk, _held_mb(folder))
            time.sleep(1)
        rate = (sum(watch.answers for watch in watches) - first) / (time.monotonic() - began)
    for watch in watches:
        watch.stop()
    median = statistics.median(times) if times else float("nan")
    return _Got(rate, len(times) / tries, median, disk)


def _held_mb(folder: Path) -> float:
    sizes = []
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may be gone by now
            sizes.append(path.stat().st_size if path.is_file() else 0)
    return sum(sizes) / 1024**2
