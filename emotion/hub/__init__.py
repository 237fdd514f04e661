"""From ``hf://USER/NAME@REVISION`` to a folder of the Hub's cache, whole and of known commit."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from emotion.errors import WeightsError
from emotion.hub.client import patiently, quiet_client
from emotion.hub.reasons import explain, is_out_of_reach, root

PREFIX = "hf://"

_SPEC = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@((?!.*\.\.)[\w./-]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")


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


def is_address(spec: str) -> bool:
    """Tell whether a SPEC is well-formed as ``hf://USER/NAME@REVISION``."""
    return _SPEC.fullmatch(spec) is not None


def is_pinned(spec: str) -> bool:
    """Tell whether a SPEC names one commit, which never changes."""
    match = _SPEC.fullmatch(spec)
    return match is not None and _COMMIT.fullmatch(match[2] or "") is not None


def fetch(spec: str, limits: Mapping[str, int], extras: Mapping[str, int] = {}) -> Snapshot:
    """Bring files of a model repository into the cache.

    A full commit id whose files are cached is answered without any network call. A branch or tag
    is looked up; if the Hub cannot be asked, the commit it had when last seen is taken. The
    client's own variables hold: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and its time-outs.

    Args:
        spec: ``hf://USER/NAME`` (its main branch) or ``hf://USER/NAME@REVISION``.
        limits: the files to fetch, and how many bytes each may have; nothing else is fetched.
        extras: the same for files that the repository need not have, and which are left out if they
            are larger.

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
        with quiet_client():
            folder = patiently(lambda: _download(spec, repository, revision, limits, extras))
        return Snapshot(folder, folder.name)
    except HFValidationError:
        raise WeightsError(f"{spec} names no repository; write hf://USER/NAME@REVISION.") from None
    except WeightsError:
        raise
    except Exception as error:
        # The client raises its own errors, those of two HTTP libraries, and OSErrors.
        error = root(error)
        reason = explain(error, revision)
        if cached and is_out_of_reach(error):
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


def _download(
    spec: str,
    repository: str,
    revision: str,
    limits: Mapping[str, int],
    extras: Mapping[str, int],
) -> Path:
    info = HfApi().model_info(
        repository, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
    )
    sizes = {file.rfilename: file.size for file in info.siblings or ()}
    for name, limit in limits.items():
        if name not in sizes:
            pickles = [o for o in sizes if o.endswith(_PICKLES) and o not in extras]
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
    # And extras come first, so that a commit whose files are cached has those too.
    wished = [name for name, limit in extras.items() if 0 < (sizes.get(name) or 0) <= limit]
    folder: Path | None = None
    for name in (*wished, *limits):
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
