"""Worker processes: forked, on one thread each, and gone when their parent is."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

_POLL_SECONDS = 1.0

_parent: int | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: faster for tiny tensors, and sums do not depend on the machine.

    Workers that are forked meanwhile inherit it; those that start a thread pool of their own after
    a parent that has one could wait for ever.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


@contextmanager
def attended() -> Iterator[None]:
    """Attend to every process that is forked meanwhile, whoever forks it.

    A pool that loses its parent to SIGKILL waits for ever otherwise, and keeps its memory.
    """
    global _parent
    _parent = os.getpid()
    try:
        yield
    finally:
        _parent = None


def _after_fork() -> None:
    if _parent is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


os.register_at_fork(after_in_child=_after_fork)
