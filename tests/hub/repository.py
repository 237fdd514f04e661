"""What the test Hub keeps: repositories of commits, and the content of files, on disk."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

_START = datetime(2025, 1, 1, tzinfo=timezone.utc)


class Refusal(Exception):  # noqa: N818 -- the server's answer, not a fault of the server
    """An answer other than 2xx, with the headers by which the client tells errors apart."""

    def __init__(
        self, status: int, code: str | None, message: str, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def prefix(kind: str) -> str:
    """Return what comes before ``USER/NAME`` in addresses of pages and files."""
    return "" if kind == "models" else f"{kind}/"


@dataclass(frozen=True)
class File:
    """One file of a commit: its size, its content's address, and whether LFS keeps it."""

    size: int
    sha256: str
    git_oid: str
    lfs: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    """A state of a repository that never changes."""

    oid: str
    parent: str | None
    title: str
    date: str
    files: Mapping[str, File]


class Store:
    """The content of files under its SHA-256, in one folder for all repositories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        return self.folder / sha256

    def put(self, data: bytes) -> str:
        """Keep content; a crash leaves no half-written file under a valid name."""
        sha256 = hashlib.sha256(data).hexdigest()
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            file.write(data)
        os.replace(file.name, self.path(sha256))
        return sha256

    def regular(self, data: bytes) -> File:
        return File(len(data), self.put(data), _git_oid(data), lfs=False)

    def lfs(self, sha256: str) -> File:
        if not self.path(sha256).is_file():
            raise Refusal(400, None, f"LFS object {sha256} was not uploaded")
        size = self.path(sha256).stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return File(size, sha256, _git_oid(pointer.encode()), lfs=True)


@dataclass
class Repository:
    """A repository with its history; branches move, commits and tags stay."""

    kind: str
    name: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.name.split("/")[0]

    def resolve(self, revision: str) -> Commit:
        """Find the commit of a branch, a tag or a full commit id."""
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.commits[oid]

    def commit(
        self,
        branch: str,
        title: str,
        added: Mapping[str, File],
        deleted: Iterable[str] = (),
        expected_parent: str | None = None,
    ) -> Commit:
        """Put a commit on a branch.

        Args:
            branch: an existing branch; ``main`` is made by the first commit.
            title: the commit's message.
            added: files by path.
            deleted: paths; one that ends with a slash is a folder.
            expected_parent: commit, or its beginning, on which the writer believes the branch is.
        """
        parent = self.branches.get(branch)
        if parent is None and self.commits:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        if expected_parent and not (parent or "").startswith(expected_parent):
            message = "A commit has happened since. Please refresh and try again."
            raise Refusal(412, None, message)
        files = dict(self.commits[parent].files) if parent else {}
        for path in deleted:
            gone = [
                name for name in files if name == path or name.startswith(path.rstrip("/") + "/")
            ]
            if not gone:
                raise Refusal(404, "EntryNotFound", f"A file with this name doesn't exist: {path}")
            for name in gone:
                del files[name]
        files.update(added)
        date = (_START + timedelta(seconds=len(self.commits))).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        identity = [
            self.kind,
            self.name,
            parent,
            title,
            date,
            sorted((k, v.etag) for k, v in files.items()),
        ]
        oid = hashlib.sha1(json.dumps(identity).encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, title, date, MappingProxyType(files))
        self.branches[branch] = oid
        return self.commits[oid]


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
