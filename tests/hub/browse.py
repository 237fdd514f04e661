"""Reading what a repository holds: info, tree, paths, refs, history."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import FastAPI, Request

from tests.hub.repository import Commit, File, Refusal

if TYPE_CHECKING:
    from tests.hub.server import Hub


def add_routes(app: FastAPI, hub: Hub) -> None:
    base = "/api/{kind}/{user}/{name}"

    @app.get(base)
    @app.get(base + "/revision/{revision}")
    def info(
        request: Request, kind: str, user: str, name: str, revision: str = "main"
    ) -> dict[str, Any]:
        repository = hub.readable(request, kind, f"{user}/{name}")
        commit = repository.resolve(unquote(revision))
        blobs = "blobs" in request.query_params
        siblings = []
        for path, file in commit.files.items():
            lfs = {"sha256": file.sha256, "size": file.size, "pointerSize": 130}
            about = {"size": file.size, "blobId": file.git_oid} if blobs else {}
            about |= {"lfs": lfs} if blobs and file.lfs else {}
            siblings.append({"rfilename": path, **about})
        return {
            "_id": repository.name,
            "id": repository.name,
            "author": repository.owner,
            "sha": commit.oid,
            "lastModified": commit.date,
            "createdAt": commit.date,
            "private": repository.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": siblings,
            **({"host": hub.spaces[repository.name].host} if kind == "spaces" else {}),
        }

    @app.get(base + "/tree/{revision}")
    @app.get(base + "/tree/{revision}/{folder:path}")
    def tree(
        request: Request, kind: str, user: str, name: str, revision: str, folder: str = ""
    ) -> Any:
        commit = hub.readable(request, kind, f"{user}/{name}").resolve(unquote(revision))
        recursive, expand = (
            request.query_params.get(key, "").lower() in ("true", "1")
            for key in ("recursive", "expand")
        )
        top = PurePosixPath(unquote(folder))
        entries = [
            (path, file)
            for path, file in _entries(commit).items()
            if (top in path.parents if recursive else top == path.parent) and path != top
        ]
        if folder and not entries:
            raise Refusal(404, "EntryNotFound", f"{folder} does not exist")
        return [_entry(path, file, commit, expand) for path, file in entries]

    @app.post(base + "/paths-info/{revision}")
    async def paths_info(request: Request, kind: str, user: str, name: str, revision: str) -> Any:
        commit = hub.readable(request, kind, f"{user}/{name}").resolve(unquote(revision))
        form = await request.form()
        expand = str(form.get("expand", "")).lower() == "true"
        entries = _entries(commit)
        paths = [PurePosixPath(str(path)) for path in form.getlist("paths")]
        return [_entry(p, entries[p], commit, expand) for p in paths if p in entries]

    @app.get(base + "/refs")
    def refs(request: Request, kind: str, user: str, name: str) -> Any:
        repository = hub.readable(request, kind, f"{user}/{name}")

        def listed(folder: str, names: dict[str, str]) -> Any:
            return [
                {"name": key, "ref": f"refs/{folder}/{key}", "targetCommit": oid}
                for key, oid in names.items()
            ]

        branches, tags = listed("heads", repository.branches), listed("tags", repository.tags)
        return {"branches": branches, "tags": tags, "converts": [], "pullRequests": []}

    @app.get(base + "/commits/{revision}")
    def commits(request: Request, kind: str, user: str, name: str, revision: str) -> Any:
        repository = hub.readable(request, kind, f"{user}/{name}")
        found, next_one = [], repository.resolve(unquote(revision))
        while True:
            author = [{"user": repository.owner}]
            about = {"title": next_one.title, "message": "", "date": next_one.date}
            found.append({"id": next_one.oid, "authors": author, **about})
            if next_one.parent is None:
                return found
            next_one = repository.commits[next_one.parent]


def _entries(commit: Commit) -> dict[PurePosixPath, File | None]:
    """List files and, as None, the folders that hold them."""
    entries: dict[PurePosixPath, File | None] = {}
    for name, file in sorted(commit.files.items()):
        path = PurePosixPath(name)
        entries.update(dict.fromkeys(reversed(path.parents[:-1])))
        entries[path] = file
    return entries


def _entry(path: PurePosixPath, file: File | None, commit: Commit, expand: bool) -> dict[str, Any]:
    last = {"id": commit.oid, "title": commit.title, "date": commit.date}
    about = {"lastCommit": last} if expand else {}
    if file is None:
        return {"type": "directory", "oid": commit.oid, "size": 0, "path": str(path), **about}
    if file.lfs:
        about["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 130}
    return {"type": "file", "oid": file.git_oid, "size": file.size, "path": str(path), **about}
