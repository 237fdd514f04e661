"""Calling the Hub's client, quietly and patiently."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from huggingface_hub import constants, get_session
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from emotion.errors import EmotionError, HubError
from emotion.hub.reasons import IN_TROUBLE, Access, asked_wait, explain, kinds, root

SILENCE = 3 * constants.HF_HUB_DOWNLOAD_TIMEOUT
"""Seconds without a byte after which a request is given up; a commit takes longer than a file."""

Answer = TypeVar("Answer")

_WAITS = (1.0, 2.0)
"""Seconds before the second and the third attempt, where another one may help."""
_LONGEST_WAIT = 10.0
"""Seconds; if the Hub asks for more, it is the user who decides whether to wait."""
# The client's transport is httpx or httpx2 depending on its version, so its errors go by name. A
# Hub that cannot be connected to, or is silent, will be so two seconds later.
_RETRIED_ERRORS = frozenset({"ReadError", "WriteError", "RemoteProtocolError"})


def patiently(call: Callable[[], Answer], *, also: frozenset[int] = frozenset()) -> Answer:
    """Call, and call again where that may help; ``call`` must be safe to repeat.

    Args:
        call: what talks to the Hub.
        also: statuses that are worth another attempt besides those of a Hub in trouble.

    Raises:
        Exception: the client's error, if another attempt would not help or three have failed.
    """
    for wait in _WAITS:
        try:
            return call()
        except Exception as error:
            delay = _delay(error, wait, IN_TROUBLE | also)
            if delay is None:
                raise
            time.sleep(delay)
    return call()


def _delay(error: Exception, wait: float, statuses: frozenset[int]) -> float | None:
    """Return after how many seconds another attempt may help, or None."""
    if isinstance(error, HfHubHTTPError):
        delay = max(wait, asked_wait(error))
        again = error.response.status_code in statuses and delay <= _LONGEST_WAIT
        return delay if again else None
    incomplete = type(error) is OSError and error.errno is None
    return wait if incomplete or kinds(error) & _RETRIED_ERRORS else None


class _LockNotice(logging.Handler):
    """Says once that another process holds a lock of the cache, for which the client waits."""

    said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.said and "acquire lock" in record.getMessage():
            self.said = True
            print(
                f"Another process is writing to the cache {constants.HF_HUB_CACHE}; waiting for "
                "it. If there is none, stop this with Ctrl-C and delete the folder .locks there.",
                file=sys.stderr,
            )


@contextmanager
def _lock_notice() -> Iterator[None]:
    logger = logging.getLogger("huggingface_hub.utils._fixes")  # where the client waits for locks
    before, notice = (logger.level, logger.propagate), _LockNotice()
    logger.addHandler(notice)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(notice)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def explained(attempt: str, access: Access = "write") -> Iterator[None]:
    """Turn what the Hub's client raises into one sentence.

    Args:
        attempt: its beginning, as in ``The Space me/x could not be restarted``.
        access: what is wanted of the repository.

    Raises:
        HubError: ``ATTEMPT: reason``; it never holds a token or an address.
    """
    try:
        yield
    except EmotionError:
        raise
    except Exception as error:
        # The client raises its own errors, those of two HTTP libraries, ValueErrors and OSErrors.
        reason = explain(root(error), constants.DEFAULT_REVISION, access)
        raise HubError(f"{attempt}: {reason}.") from None


@contextmanager
def quiet_client() -> Iterator[None]:
    """Keep the client's warnings, which hold addresses, and its bars in log files, to itself.

    It says so if another process has locked the cache. A silent Hub is given up; by itself the
    client waits for ever where it is not told how long.
    """
    get_session().timeout = SILENCE
    logger = logging.getLogger("huggingface_hub")
    level, bars = logger.level, not are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    if bars and not sys.stderr.isatty():
        disable_progress_bars()
    try:
        with _lock_notice():
            yield
    finally:
        logger.setLevel(level)
        if bars:
            enable_progress_bars()
