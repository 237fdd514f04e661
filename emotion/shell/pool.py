"""Looking at many pictures, in order: in this process, or in workers of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol

from emotion.errors import DataError
from emotion.shell.look import (
    Looked,
    Looker,
    Options,
    Source,
    load_in_worker,
    look_in_worker,
    start_worker,
)

_AHEAD = 4  # pictures that are handed out per worker, so that none waits for the slowest


class Pool(Protocol):
    """Looks at pictures.

    Attributes:
        notice: see ``Looker.notice``.
        how: see ``Looker.how``.
    """

    notice: str | None
    how: dict[str, Any]

    def __enter__(self) -> Pool: ...

    def __exit__(self, *_: object) -> None: ...

    def look(self, sources: Iterable[Source]) -> Iterator[Looked]:
        """Yield what came of each picture, in their order."""
        ...


def make_pool(options: Options, workers: int) -> Pool:
    """Load the weights, and return what looks at pictures.

    Args:
        options: how to look at them.
        workers: processes; 1 looks at them in this one, with all of its threads.

    Raises:
        WeightsError: if the weights cannot be used.
        ConfigError: if the weights do not know the convention.
        DataError: if a worker cannot be started.
    """
    return _Alone(options) if workers == 1 else _Workers(options, workers)


class _Alone:
    def __init__(self, options: Options) -> None:
        self._looker = Looker(options)
        self.notice, self.how = self._looker.notice, self._looker.how

    def __enter__(self) -> _Alone:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look(self, sources: Iterable[Source]) -> Iterator[Looked]:
        yield from map(self._looker.look, sources)


class _Workers:
    def __init__(self, options: Options, workers: int) -> None:
        self._options, self._count = options, workers
        # A fork would take along threads that do not run in it.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, start_worker)
        try:
            with _one_thread_each(), _not_interrupted():
                loading = [self._pool.submit(load_in_worker, options) for _ in range(workers)]
            self.notice, self.how = self._answer(loading[0])
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._pool.shutdown()
        else:
            self._end()

    def look(self, sources: Iterable[Source]) -> Iterator[Looked]:
        waiting: deque[Future[Looked]] = deque()
        for source in sources:
            waiting.append(self._submit(source))
            if len(waiting) >= _AHEAD * self._count:
                yield self._answer(waiting.popleft())
        while waiting:
            yield self._answer(waiting.popleft())

    def _submit(self, source: Source) -> Future[Looked]:
        try:
            return self._pool.submit(look_in_worker, self._options, source)
        except BrokenProcessPool:
            raise DataError(_ENDED) from None

    def _answer(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except BrokenProcessPool:
            raise DataError(_ENDED) from None

    def _end(self) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


_ENDED = "A worker ended by itself, perhaps for want of memory; take fewer --workers."


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start meanwhile compute with one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Let processes that start meanwhile leave Ctrl-C to this one."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only that one hears of signals
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
