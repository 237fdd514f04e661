"""What lies on the Hub, and how it differs from what shall lie there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from emotion.errors import HubError
from train.hub.space.config import FILE, SpaceConfig
from train.hub.space.stage import README

_ATTRIBUTES = ".gitattributes"  # the Hub's own, made with every repository


@dataclass(frozen=True)
class Remote:
    """A Space as it is.

    Attributes:
        commit: the newest one.
        files: path to the content's digest, see ``_is_same``.
        private: whether only its owner sees it.
        hardware: what it runs on or has been asked to run on; None if the Hub does not say.
        stage: what it does now, a word such as ``RUNNING``.
        variables: name to value; None if the token may not read them.
        secrets: names; None if the token may not read them, which one that may write can.
    """

    commit: str
    files: Mapping[str, str]
    private: bool
    hardware: str | None
    stage: str
    variables: Mapping[str, str] | None
    secrets: frozenset[str] | None


@dataclass(frozen=True)
class Differences:
    """What a deployment has to do.

    Attributes:
        upload: paths that are new or have other content.
        delete: paths that shall not be there.
        set_variables: name to value.
        delete_variables: names.
        set_secrets: names.
        visibility: the new one, or None.
        hardware: the new one, or None.
    """

    upload: list[str]
    delete: list[str]
    set_variables: dict[str, str]
    delete_variables: list[str]
    set_secrets: list[str]
    visibility: str | None
    hardware: str | None


def look(api: HfApi, repository: str) -> Remote | None:
    """Ask the Hub about a Space; None if it is not there, or not visible to the token."""
    try:
        info = api.space_info(repository, files_metadata=True)
    except RepositoryNotFoundError:
        return None
    runtime = api.get_space_runtime(repository)
    variables: dict[str, str] | None = None
    secrets: frozenset[str] | None = None
    try:
        variables = {key: one.value for key, one in api.get_space_variables(repository).items()}
        secrets = frozenset(api.get_space_secrets(repository))
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403):
            raise
    return Remote(
        commit=info.sha or "",
        files={
            file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id or ""
            for file in info.siblings or ()
        },
        private=bool(info.private),
        hardware=runtime.requested_hardware or runtime.hardware,
        stage=str(runtime.raw["stage"]),
        variables=variables,
        secrets=secrets,
    )


def compare(
    config: SpaceConfig, staged: Mapping[str, bytes], remote: Remote | None, *, renew: bool
) -> Differences:
    """Compare what shall be with what is.

    Args:
        config: of the Space.
        staged: content by path.
        remote: the Space, or None if there is none.
        renew: whether to set secrets that the Space has already; their values cannot be compared.

    Raises:
        HubError: if the Space holds something that this command has not put there.
    """
    files = dict(remote.files) if remote else {}
    if FILE not in files and files.keys() - {README, _ATTRIBUTES}:
        raise HubError(
            "The Space is there already and was not made by this command (it has no "
            f"{FILE}); choose another name in {FILE}, or delete the Space first."
        )
    variables = remote.variables if remote else {}
    secrets = remote.secrets if remote else frozenset()
    visibility = "private" if remote and remote.private else "public"
    return Differences(
        upload=[path for path, data in staged.items() if not _is_same(data, files.get(path))],
        delete=[path for path in files if path not in staged and path != _ATTRIBUTES],
        set_variables={
            name: value
            for name, value in config.variables.items()
            if variables is not None and variables.get(name) != value
        },
        delete_variables=[name for name in variables or {} if name not in config.variables],
        set_secrets=[
            name
            for name in config.secrets
            if secrets is not None and (renew or name not in secrets)
        ],
        visibility=_changed(visibility, config.space.visibility) if remote else None,
        hardware=_changed(remote.hardware, config.space.hardware) if remote else None,
    )


def describe(config: SpaceConfig, differences: Differences, remote: Remote | None) -> list[str]:
    """Say in lines what a deployment would do; empty if nothing."""
    there = remote.files if remote else {}
    lines = [f"{'~' if path in there else '+'} {path}" for path in differences.upload]
    lines += [f"- {path}" for path in differences.delete]
    old = remote.variables or {} if remote else {}
    for name, value in differences.set_variables.items():
        before = f"{old[name]!r} -> " if name in old else ""
        lines.append(f"variable {name}: {before}{value!r}")
    lines += [f"variable {name}: {old[name]!r} -> none" for name in differences.delete_variables]
    lines += [f"secret {name}: set from the environment" for name in differences.set_secrets]
    if remote is None:
        lines.append(f"new {config.space.visibility} Space on {config.space.hardware}")
    if differences.visibility:
        lines.append(f"visibility: -> {differences.visibility}")
    if differences.hardware and remote:
        lines.append(f"hardware: {remote.hardware or 'unknown'} -> {differences.hardware}")
    return lines


def _changed(old: str | None, new: str) -> str | None:
    return new if old != new else None


def _is_same(data: bytes, digest: str | None) -> bool:
    """Compare content with its SHA-256 (large files) or its git blob id (the others)."""
    if digest is None:
        return False
    if len(digest) == 64:
        return hashlib.sha256(data).hexdigest() == digest
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == digest
