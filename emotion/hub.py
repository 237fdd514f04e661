"""From ``hf://USER/NAME@REVISION`` to a folder of the Hub's cache, whole and of known commit."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from emotion.errors import WeightsError

PREFIX = "hf://"

_SPEC = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@((?!.*\.\.)[\w./-]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")

_WAITS = (1.0, 2.0)
"""Seconds before the second and the third attempt, where another one may help."""
_LONGEST_WAIT = 10.0
"""Seconds; if the Hub asks for more, it is the user who decides whether to wait."""
_RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# The client's transport is httpx or httpx2 depending on its version, so its errors go by name. A
# Hub that cannot be connected to, or is silent, will be so two seconds later.
_RETRIED_ERRORS = frozenset({"ReadError", "WriteError", "RemoteProtocolError"})


@dataclass(frozen=True)
class Snapshot:
    """Files of one commit in the local cache.

    Attributes:
        folder: where they lie under their own names.
        commit: 40 hexadecimal digits.
        notice: a sentence if the Hub could not be asked whether a branch has moved on, or None.
    """

    folder: Path
    commit: str
    notice: str | None = None


def fetch(spec: str, limits: Mapping[str, int]) -> Snapshot:
    """Bring files of a model repository into the cache.

    A full commit id whose files are cached is answered without any network call. A branch or tag
    is looked up; if the Hub cannot be asked, the commit it had when last seen is taken. The
    client's own variables hold: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and its time-outs.

    Args:
        spec: ``hf://USER/NAME`` (its main branch) or ``hf://USER/NAME@REVISION``.
        limits: the files to fetch, and how many bytes each may have; nothing else is fetched.

    Raises:
        WeightsError: if they cannot be had, in one sentence that never holds the token.
    """
    match = _SPEC.fullmatch(spec)
    if not match:
        raise WeightsError(f"{spec} is not a Hub address; write hf://USER/NAME@REVISION.")
    repository, revision = match[1], match[2] or constants.DEFAULT_REVISION
    cached: Path | None = None
    try:
        cached = _find_cached(repository, revision, limits)
        if cached and cached.name == revision:
            return Snapshot(cached, revision)
        with _quiet_client():
            folder = _download_patiently(spec, repository, revision, limits)
        return Snapshot(folder, folder.name)
    except HFValidationError:
        raise WeightsError(f"{spec} names no repository; write hf://USER/NAME@REVISION.") from None
    except WeightsError:
        raise
    except Exception as error:
        # The client raises its own errors, those of two HTTP libraries, and OSErrors.
        error = _root(error)
        reason = _explain(error, revision)
        if cached and _is_out_of_reach(error):
            notice = f"Commit {cached.name[:12]} of {spec} runs from the cache: {reason}."
            return Snapshot(cached, cached.name, notice)
        raise WeightsError(
            f"The weights {spec} could not be fetched from the Hub: {reason}."
        ) from None


def _find_cached(repository: str, revision: str, names: Mapping[str, int]) -> Path | None:
    """Find the folder of a cached commit, or of the commit a branch had when last seen."""
    paths = [try_to_load_from_cache(repository, name, revision=revision) for name in names]
    found = [Path(path) for path in paths if isinstance(path, str)]
    if len(found) < len(names) or any(_is_damaged(path) for path in found):
        return None
    return found[0].parent


def _download_patiently(
    spec: str, repository: str, revision: str, limits: Mapping[str, int]
) -> Path:
    for wait in _WAITS:
        try:
            return _download(spec, repository, revision, limits)
        except Exception as error:
            delay = _delay(error, wait)
            if delay is None:
                raise
            time.sleep(delay)
    return _download(spec, repository, revision, limits)


def _download(spec: str, repository: str, revision: str, limits: Mapping[str, int]) -> Path:
    info = HfApi().model_info(
        repository, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
    )
    sizes = {file.rfilename: file.size for file in info.siblings or ()}
    for name, limit in limits.items():
        if name not in sizes:
            pickles = [other for other in sizes if other.endswith(_PICKLES)]
            only = f", only {pickles[0]}, which is a pickle and never loaded" if pickles else ""
            raise WeightsError(
                f"The repository of {spec} has no {name}{only}; push both "
                "files, or choose another revision."
            )
        if (sizes[name] or 0) > limit:
            raise WeightsError(
                f"The file {name} of {spec} has {sizes[name]} bytes and is not downloaded, since "
                f"{limit} are the limit; choose a repository of this project's networks."
            )
    # The first file goes by the name of the branch, so that the cache notes where it points; the
    # others by the commit that this led to, so that a push in between cannot mix two.
    folder: Path | None = None
    for name in limits:
        wanted = folder.name if folder else revision
        path = Path(hf_hub_download(repository, name, revision=wanted))
        folder = path.parent
        if _is_damaged(path):
            hf_hub_download(repository, name, revision=folder.name, force_download=True)
            if _is_damaged(path):
                raise WeightsError(
                    f"The file {name} of {spec} does not have the checksum that the Hub says; "
                    "push it again."
                )
    assert folder is not None
    return folder


def _is_damaged(path: Path) -> bool:
    """Compare a large file with the SHA-256 by which the cache names it; others have no such name.

    The snapshot's entry is a link to ``blobs/SHA256``. On file systems without links, nothing is
    known and the file counts as whole; a damaged one is still refused when it is parsed.
    """
    name = Path(os.readlink(path)).name if path.is_symlink() else ""
    if not _SHA256.fullmatch(name):
        return False
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() != name


def _root(error: Exception) -> Exception:
    """Unwrap the client's remark that the cache does not help either."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return error.__cause__
    return error


def _delay(error: Exception, wait: float) -> float | None:
    """Return after how many seconds another attempt may help, or None."""
    if isinstance(error, HfHubHTTPError):
        delay = max(wait, _asked_wait(error))
        again = error.response.status_code in _RETRIED_STATUSES and delay <= _LONGEST_WAIT
        return delay if again else None
    incomplete = type(error) is OSError and error.errno is None
    return wait if incomplete or _names(error) & _RETRIED_ERRORS else None


def _asked_wait(error: HfHubHTTPError) -> float:
    asked = error.response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def _names(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _is_out_of_reach(error: Exception) -> bool:
    """Tell a Hub that could not be asked from one that refused."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _RETRIED_STATUSES
    return isinstance(error, OSError) or "TransportError" in _names(error)


def _explain(error: Exception, revision: str) -> str:
    """Say what was wrong and what to do; the texts of the client hold addresses, even tokens."""
    match error:
        case OfflineModeIsEnabled():
            return (
                "HF_HUB_OFFLINE is set and the cache does not hold it whole; unset it, or load it "
                "once while online"
            )
        case GatedRepoError():
            return "its owner has not given the account of HF_TOKEN access; ask on its page"
        case RepositoryNotFoundError():
            return (
                "there is no such repository, or it is private; check the name, or set HF_TOKEN to "
                "a token that may read it"
            )
        case RevisionNotFoundError():
            return f"the repository has no revision {revision}; check the branch, tag or commit"
        case EntryNotFoundError():
            return "a file has just been removed from it; try again"
        case HfHubHTTPError():
            return _explain_status(error)
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


def _explain_status(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return "the token is not valid; renew HF_TOKEN, or log in with `hf auth login`"
    if status == 403:
        return "the token may not read it; ask its owner for access"
    if status == 429:
        asked = _asked_wait(error)
        when = f"in {asked:.0f} seconds" if asked else "later"
        return f"the Hub has had too many requests; try again {when}"
    return f"the Hub answers with status {status}; try again later"


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep the client's warnings, which hold addresses, and its bars in log files, to itself."""
    logger = logging.getLogger("huggingface_hub")
    level, bars = logger.level, not are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    if bars and not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            enable_progress_bars()
