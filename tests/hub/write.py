"""Changing repositories: creating, committing, tagging; and who may."""

from __future__ import annotations

import base64
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import yaml
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.hub.repository import File, Refusal, Repository, prefix
from tests.hub.spaces import Space

if TYPE_CHECKING:
    from tests.hub.server import Hub

LFS_SUFFIXES = frozenset({".bin", ".npz", ".onnx", ".parquet", ".pt", ".safetensors", ".zip"})
LFS_SIZE = 10_000_000


def add_routes(app: FastAPI, hub: Hub) -> None:
    base = "/api/{kind}/{user}/{name}"

    @app.get("/api/whoami-v2")
    def whoami(request: Request) -> Any:
        account = hub.account(request)
        if account is None:
            raise Refusal(401, None, "Invalid username or password.")
        role = "write" if account.writes else "read"
        token = {"accessToken": {"displayName": "test", "role": role}}
        return {"type": "user", "name": account.user, "orgs": [], "auth": token}

    @app.post("/api/validate-yaml")
    async def validate(request: Request) -> Any:
        content = (await request.json())["content"]
        parts = content.split("---\n", 2)
        try:
            values = yaml.safe_load(parts[1]) if content.startswith("---\n") else {}
        except yaml.YAMLError as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        warnings = [] if values else [{"message": "empty or missing yaml metadata in repo card"}]
        return {"errors": [], "warnings": warnings}

    @app.post("/api/repos/create")
    async def create(request: Request) -> Any:
        wanted = await request.json()
        kind = wanted.get("type", "model") + "s"
        account = hub.account(request)
        owner = wanted.get("organization") or (account.user if account else "")
        hub.check_writes(request, owner)
        name = f"{owner}/{wanted['name']}"
        url = f"{hub.url}/{prefix(kind)}{name}"
        if (kind, name) in hub.repositories:
            message = f"You already created this {kind[:-1]} repo"
            return JSONResponse({"error": message, "url": url}, 409)
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        repository = Repository(kind, name, private)
        repository.commit("main", "initial commit", {".gitattributes": hub.store.regular(b"")})
        hub.repositories[kind, name] = repository
        if kind == "spaces":
            hardware = wanted.get("hardware", "cpu-basic")
            hub.spaces[name] = Space(repository, hardware, **hub.new_space)
        return {"url": url, "name": name, "id": name}

    @app.delete("/api/repos/delete")
    async def delete(request: Request) -> None:
        wanted = await request.json()
        kind, owner = wanted.get("type", "model") + "s", wanted.get("organization")
        repository = hub.writable(request, kind, f"{owner}/{wanted['name']}")
        del hub.repositories[kind, repository.name]

    @app.post(base + "/preupload/{revision}")
    async def preupload(request: Request, kind: str, user: str, name: str, revision: str) -> Any:
        repository = hub.writable(request, kind, f"{user}/{name}")
        old = repository.resolve(unquote(revision)).files
        answers = []
        for file in (await request.json())["files"]:
            path = file["path"]
            lfs = file["size"] >= LFS_SIZE or PurePosixPath(path).suffix in LFS_SUFFIXES
            about = {"uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            oid = {"oid": old[path].etag} if path in old else {}
            answers.append({"path": path, **about, **oid})
        return {"files": answers}

    @app.post(base + "/commit/{revision}")
    async def commit(request: Request, kind: str, user: str, name: str, revision: str) -> Any:
        repository = hub.writable(request, kind, f"{user}/{name}")
        added: dict[str, File] = {}
        deleted: list[str] = []
        header: dict[str, Any] = {}
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                header = value
            elif entry["key"] == "file":
                added[value["path"]] = hub.store.regular(base64.b64decode(value["content"]))
            elif entry["key"] == "lfsFile":
                added[value["path"]] = hub.store.lfs(value["oid"])
            else:  # deletedFile, deletedFolder
                deleted.append(value["path"])
        made = repository.commit(
            unquote(revision), header["summary"], added, deleted, header.get("parentCommit")
        )
        if kind == "spaces":
            hub.spaces[repository.name].start(hub)
        url = f"{hub.url}/{prefix(kind)}{repository.name}/commit/{made.oid}"
        return {"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""}

    @app.post(base + "/tag/{revision}")
    async def tag(request: Request, kind: str, user: str, name: str, revision: str) -> None:
        repository = hub.writable(request, kind, f"{user}/{name}")
        wanted = (await request.json())["tag"]
        if wanted in repository.tags:
            raise Refusal(409, None, f"Tag {wanted} already exists")
        repository.tags[wanted] = repository.resolve(unquote(revision)).oid

    @app.delete(base + "/tag/{wanted}")
    def delete_tag(request: Request, kind: str, user: str, name: str, wanted: str) -> None:
        repository = hub.writable(request, kind, f"{user}/{name}")
        if repository.tags.pop(unquote(wanted), None) is None:
            raise Refusal(404, "RevisionNotFound", f"Tag {wanted} does not exist")

    @app.post(base + "/branch/{wanted}")
    async def branch(request: Request, kind: str, user: str, name: str, wanted: str) -> None:
        repository = hub.writable(request, kind, f"{user}/{name}")
        start = (await request.json()).get("startingPoint", "main")
        if unquote(wanted) in repository.branches:
            raise Refusal(409, None, f"Branch {wanted} already exists")
        repository.branches[unquote(wanted)] = repository.resolve(start).oid
