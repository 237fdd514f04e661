"""To a repository on the Hub in one commit: whole or not at all, and safe to repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
)
from huggingface_hub.errors import HFValidationError

from emotion.errors import ConfigError, HubError
from emotion.hub.client import SILENCE, explained, patiently, quiet_client
from emotion.hub.reasons import CONFLICT

Content = bytes | Path

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_VERSION = re.compile(r"v(\d+)")


@dataclass(frozen=True)
class Repository:
    """A repository of the account of HF_TOKEN, or of an organisation it may write to.

    Attributes:
        name: ``USER/NAME``.
        kind: ``model`` or ``dataset``.
    """

    name: str
    kind: Literal["model", "dataset"]

    @property
    def url(self) -> str:
        """Address of its page."""
        return f"{constants.ENDPOINT}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"


def parse_name(text: str) -> str:
    """Check ``USER/NAME``, before anything long begins.

    Raises:
        ConfigError: if it is none.
        HubError: if there is no token to write with.
    """
    if not _NAME.fullmatch(text) or ".." in text or "--" in text:
        raise ConfigError(f"{text} names no repository; write USER/NAME.")
    if not get_token():
        raise HubError(
            "There is no token to write to the Hub with; set HF_TOKEN to one with write access, or "
            "log in with `hf auth login`."
        )
    return text


def prepare(repository: Repository, *, private: bool) -> None:
    """Create the repository if it is not there.

    Args:
        repository: what is created.
        private: whether only its owner may see it. A new one without it is as visible as the
            account's own setting says.

    Raises:
        HubError: if it cannot be created or read.
        ConfigError: if it is there and public, but was to be private.
    """
    name, kind = repository.name, repository.kind
    with _sentences(repository):
        api = HfApi()
        patiently(
            lambda: api.create_repo(name, repo_type=kind, private=private or None, exist_ok=True)
        )
        info = patiently(lambda: api.repo_info(name, repo_type=kind, timeout=SILENCE))
    if private and not info.private:
        raise ConfigError(
            f"{name} is there already and public; make it private in its settings on the Hub, or "
            "choose another name."
        )


def commit(
    repository: Repository,
    files: Mapping[str, Content],
    managed: Callable[[str], bool],
    message: str,
) -> str:
    """Put files into the repository in one commit; what has not changed makes none.

    Args:
        repository: where to; it exists.
        files: path in the repository -> content.
        managed: which of the repository's paths are ours: those that ``files`` lacks are deleted,
            so that nothing of an older push lies beside the new one.
        message: title of the commit.

    Returns:
        The commit in which the repository holds these files, 40 hexadecimal digits.

    Raises:
        HubError: if it is refused or does not succeed; the repository is unchanged then.
    """
    api = HfApi()
    read = api.model_info if repository.kind == "model" else api.dataset_info

    def attempt() -> str:
        before = read(repository.name, timeout=SILENCE)
        there = [file.rfilename for file in before.siblings or ()]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path, content) for path, content in files.items()
        ]
        operations += [
            CommitOperationDelete(path) for path in there if managed(path) and path not in files
        ]
        made = api.create_commit(
            repository.name,
            operations,
            commit_message=message,
            repo_type=repository.kind,
            parent_commit=before.sha,
        )
        return str(made.oid)

    with _sentences(repository):
        return patiently(attempt, also=frozenset({CONFLICT}))


def tag(repository: Repository, revision: str) -> str:
    """Give a commit the next free name ``v1``, ``v2``, ...; a commit that has a tag keeps it.

    Raises:
        HubError: if the Hub refuses.
    """
    with _sentences(repository, f"Commit {revision[:12]} is pushed, but could not be tagged"):
        return patiently(lambda: _tag(repository, revision))


def _tag(repository: Repository, revision: str) -> str:
    api = HfApi()
    tags = api.list_repo_refs(repository.name, repo_type=repository.kind).tags
    for there in tags:
        if there.target_commit == revision:
            return there.name
    versions = [int(match[1]) for there in tags if (match := _VERSION.fullmatch(there.name))]
    name = f"v{max(versions, default=0) + 1}"
    api.create_tag(repository.name, tag=name, revision=revision, repo_type=repository.kind)
    return name


@contextmanager
def _sentences(repository: Repository, failure: str = "Nothing could be pushed") -> Iterator[None]:
    """Turn whatever the client raises into one sentence that begins with ``failure``."""
    with explained(f"{failure}, to {repository.name}"), quiet_client():
        try:
            yield
        except HFValidationError:
            raise ConfigError(f"{repository.name} names no repository; write USER/NAME.") from None
