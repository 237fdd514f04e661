"""What runs in the process of a Hub client: the libraries read their environment on import."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What ``load`` gave in the other process.

    Attributes:
        error: the sentence of the ``WeightsError``, or None.
        noise: everything written to stderr meanwhile.
        logits: of the probe that ``logits`` describes, nested lists (2, 6).
    """

    error: str | None
    noise: str
    logits: Any = None
    spec: str | None = None
    revision: str | None = None
    digest: str | None = None
    notice: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What a function of ours gave in the other process.

    Attributes:
        value: what it returned, or None.
        error: the sentence of the ``EmotionError``, or None.
        noise: everything written to stderr meanwhile.
    """

    value: Any
    error: str | None
    noise: str


class Client:
    """A process with ``huggingface_hub`` pointed at a Hub, in which functions are called."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        with _environment(environment):  # the process starts with the first call, and inherits it
            self._pool.submit(os.getpid).result()

    def call(self, function: Callable[..., Any], *args: Any, token: str = "", **named: Any) -> Any:
        """Call a function of an importable module there, with this HF_TOKEN."""
        return self._pool.submit(_with_token, token, function, args, named).result()

    def api(self, method: str, token: str = "", **arguments: Any) -> Any:
        """Call a method of ``HfApi`` there."""
        return self.call(_api, method, token=token, **arguments)

    def attempt(
        self,
        function: Callable[..., Any],
        *args: Any,
        token: str = "",
        environment: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Attempt:
        """Call a function of ours there; errors meant for users are part of the answer."""
        wanted = (function, args, named, environment or {})
        outcome: Attempt = self.call(_attempt, *wanted, token=token)
        return outcome

    def load(self, spec: str, token: str = "") -> Outcome:
        """Load weights there."""
        outcome: Outcome = self.call(_load, spec, token=token)
        return outcome

    def close(self) -> None:
        self._pool.shutdown()


def _with_token(token: str, function: Callable[..., Any], args: Any, named: Any) -> Any:
    with _environment({"HF_TOKEN": token}):
        result = function(*args, **named)
    if isinstance(result, str):  # CommitInfo and RepoUrl extend str, and not all can be pickled
        return getattr(result, "oid", str(result))
    return list(result) if isinstance(result, Iterator) else result


def _api(method: str, **arguments: Any) -> Any:
    from huggingface_hub import HfApi

    return getattr(HfApi(), method)(**arguments)


def _attempt(
    function: Callable[..., Any], args: Any, named: Any, environment: Mapping[str, str]
) -> Attempt:
    import torch

    from emotion.errors import EmotionError

    torch.set_num_threads(1)
    with _environment(environment), _stderr() as noise:
        try:
            return Attempt(function(*args, **named), None, noise())
        except EmotionError as error:
            return Attempt(None, str(error), noise())


def _load(spec: str) -> Outcome:
    import torch

    from emotion.errors import WeightsError
    from emotion.network import EmotionNet
    from emotion.weights import load

    torch.set_num_threads(1)
    with _stderr() as noise:
        try:
            loaded = load(spec)
        except WeightsError as error:
            return Outcome(str(error), noise())
        assert isinstance(loaded.network, EmotionNet)
        return Outcome(
            None,
            noise(),
            logits(loaded.network),
            loaded.spec,
            loaded.revision,
            loaded.digest,
            loaded.notice,
        )


def obey_permissions() -> None:
    """Give up root's right to write where nobody may, if this process has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    data = (ctypes.c_uint32 * 6)()  # (effective, permitted, inheritable) twice
    assert libc.capget(header, data) == 0
    data[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, data) == 0


def logits(network: Any) -> list[list[float]]:
    """Run a network on two fixed noise images."""
    import torch

    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        rows: list[list[float]] = network.eval()(images).tolist()
    return rows


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _stderr() -> Iterator[Callable[[], str]]:
    """Catch stderr by its descriptor; loggers keep the stream object they found on import."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)

        def read() -> str:
            sys.stderr.flush()
            file.seek(0)
            return file.read().decode()

        try:
            yield read
        finally:
            os.dup2(kept, 2)
            os.close(kept)
