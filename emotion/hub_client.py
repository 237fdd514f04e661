"""Calling the Hub's client: quietly, patiently, and with its errors turned into sentences."""

from __future__ import annotations

import errno
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

from huggingface_hub import constants, get_session
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from emotion.errors import EmotionError, HubError

_FULL = {errno.ENOSPC, errno.EDQUOT, None}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
_STORAGE = re.compile(r"storage|quota", re.IGNORECASE)

CONFLICT = 412
"""Status of a commit whose branch has moved since it was prepared."""

SILENCE = 3 * constants.HF_HUB_DOWNLOAD_TIMEOUT
"""Seconds without a byte after which a request is given up; a commit takes longer than a file."""

Access = Literal["read", "write"]
Answer = TypeVar("Answer")

_WAITS = (1.0, 2.0)
"""Seconds before the second and the third attempt, where another one may help."""
_BAD_CARD = "Invalid metadata in README.md.\n"  # how the client begins the Hub's verdict
_LONGEST_WAIT = 10.0
"""Seconds; if the Hub asks for more, it is the user who decides whether to wait."""
_RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
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
            delay = _delay(error, wait, _RETRIED_STATUSES | also)
            if delay is None:
                raise
            time.sleep(delay)
    return call()


def _delay(error: Exception, wait: float, statuses: frozenset[int]) -> float | None:
    """Return after how many seconds another attempt may help, or None."""
    if isinstance(error, HfHubHTTPError):
        delay = max(wait, _asked_wait(error))
        again = error.response.status_code in statuses and delay <= _LONGEST_WAIT
        return delay if again else None
    incomplete = type(error) is OSError and error.errno is None
    return wait if incomplete or _names(error) & _RETRIED_ERRORS else None


def _asked_wait(error: HfHubHTTPError) -> float:
    asked = error.response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def root(error: Exception) -> Exception:
    """Unwrap the client's remark that the cache does not help either."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return error.__cause__
    return error


def find_hub_error(error: BaseException | None) -> Exception | None:
    """Find what the Hub's client raised behind the error of a library that uses it, if it did."""
    while error is not None:
        known = isinstance(error, HfHubHTTPError | OfflineModeIsEnabled)
        incomplete = str(error).startswith("Consistency check failed")  # a plain OSError
        transport = "TransportError" in _names(error)
        if isinstance(error, Exception) and (known or incomplete or transport or _no_room(error)):
            return error
        error = error.__cause__ or error.__context__
    return None


def _no_room(error: BaseException) -> bool:
    """Tell a disk that is full or closed; ``datasets`` looks for space itself, without a number."""
    full = isinstance(error, OSError) and error.errno in _DISK
    return full or str(error).startswith("Not enough disk space")


def is_out_of_reach(error: Exception) -> bool:
    """Tell a Hub that could not be asked from one that refused."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _RETRIED_STATUSES
    return isinstance(error, OSError) or "TransportError" in _names(error)


def explain(error: Exception, revision: str, access: Access = "read") -> str:
    """Say what was wrong and what to do; the texts of the client hold addresses, even tokens.

    Args:
        error: what the client raised, see ``root``.
        revision: what was asked for.
        access: what was wanted of the repository.

    Returns:
        The end of a sentence, without its full stop.
    """
    match error:
        case OfflineModeIsEnabled() if access == "write":
            return "HF_HUB_OFFLINE is set; unset it"
        case OfflineModeIsEnabled():
            return (
                "HF_HUB_OFFLINE is set and the cache does not hold it whole; unset it, or load it "
                "once while online"
            )
        case LocalTokenNotFoundError():
            return (
                "there is no token; log in with `hf auth login`, or set HF_TOKEN to one that may "
                f"{access}"
            )
        case HFValidationError():
            return "the Hub takes no such name; write OWNER/NAME"
        case GatedRepoError():
            return "its owner has not given the account of HF_TOKEN access; ask on its page"
        case RepositoryNotFoundError():
            return (
                "there is no such repository, or it is private; check the name, or set HF_TOKEN to "
                f"a token that may {access} it"
            )
        case RevisionNotFoundError():
            return f"the repository has no revision {revision}; check the branch, tag or commit"
        case EntryNotFoundError():
            return "a file has just been removed from it; try again"
        case HfHubHTTPError():
            return _explain_status(error, access)
        case ValueError() if str(error).startswith(_BAD_CARD):
            return f"the Hub refuses the card ({str(error).removeprefix(_BAD_CARD).strip(' -')})"
        case OSError() if error.errno is not None and access == "write":
            return f"a file could not be read or written ({error.strerror})"
        case OSError() if _no_room(error) and error.errno in _FULL:
            return (
                f"the disk of the cache {constants.HF_HOME} is full; free some space, or set "
                "HF_HOME to a folder on another disk"
            )
        case OSError() if error.errno is not None:
            return (
                f"the cache {constants.HF_HUB_CACHE} cannot be written ({error.strerror}); set "
                "HF_HOME to a folder that can"
            )
        case OSError():
            return "the download stayed incomplete; try again"
    if "TimeoutException" in _names(error):
        return "the Hub did not answer in time; try again later"
    if "TransportError" in _names(error):
        return "the Hub cannot be reached; check the network and HF_ENDPOINT"
    return "what answered is not a Hub; check HF_ENDPOINT and the network's proxy"


def _explain_status(error: HfHubHTTPError, access: Access) -> str:
    status = error.response.status_code
    if status == 400:
        return f"the Hub refuses it ({error.server_message or 'bad request'})"
    if status == 402 and "/commit/" in str(error.response.url):
        return "the account's plan does not cover this; see the billing page of its owner"
    if status == 402:
        return (
            "the owner's plan does not include this hardware; subscribe, or set space.hardware in "
            "space.yaml to zero-a10g"
        )
    if status == 401:
        return "the token is not valid; renew HF_TOKEN, or log in with `hf auth login`"
    if status == 413:
        return "it is more than the Hub takes at once; push less, or smaller files"
    if status == 403 and _STORAGE.search(_told(error)):
        return (
            "the storage of the account is full; delete something there, make repositories public, "
            "or choose a larger plan"
        )
    if status == 403 and access == "write":
        return (
            "the token may not write there; use one with write access, or a repository of the "
            "token's own account"
        )
    if status == 403:
        return "the token may not read it; ask its owner for access"
    if status in (409, CONFLICT):
        return "somebody else changes it at the same time; try again when they are done"
    if status == 429:
        asked = _asked_wait(error)
        when = f"in {asked:.0f} seconds" if asked else "later"
        return f"the Hub has had too many requests; try again {when}"
    return f"the Hub answers with status {status}; try again later"


def _told(error: HfHubHTTPError) -> str:
    """Return the Hub's own words; they are read, never shown."""
    return f"{error.server_message or ''} {error.response.headers.get('X-Error-Message', '')}"


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
