"""What the errors of the Hub's client mean, in a sentence each."""

from __future__ import annotations

import errno
import re
from typing import Literal

from huggingface_hub import constants
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

CONFLICT = 412
"""Status of a commit whose branch has moved since it was prepared."""

IN_TROUBLE = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of a Hub that may answer the next attempt."""

Access = Literal["read", "write"]

_FULL = {errno.ENOSPC, errno.EDQUOT, None}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
_STORAGE = re.compile(r"storage|quota", re.IGNORECASE)
_BAD_CARD = "Invalid metadata in README.md.\n"  # how the client begins the Hub's verdict


def asked_wait(error: HfHubHTTPError) -> float:
    """Return the seconds for which the Hub asks to be left alone."""
    asked = error.response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def kinds(error: BaseException) -> set[str]:
    """Name the classes of an error, since those of its HTTP libraries cannot be imported."""
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
        transport = "TransportError" in kinds(error)
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
        return error.response.status_code in IN_TROUBLE
    return isinstance(error, OSError) or "TransportError" in kinds(error)


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
    if "TimeoutException" in kinds(error):
        return "the Hub did not answer in time; try again later"
    if "TransportError" in kinds(error):
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
        asked = asked_wait(error)
        when = f"in {asked:.0f} seconds" if asked else "later"
        return f"the Hub has had too many requests; try again {when}"
    return f"the Hub answers with status {status}; try again later"


def _told(error: HfHubHTTPError) -> str:
    """Return the Hub's own words; they are read, never shown."""
    return f"{error.server_message or ''} {error.response.headers.get('X-Error-Message', '')}"
