"""The bytes of files: resolve with redirects to a CDN for large ones, and LFS uploads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

from tests.hub.repository import Refusal, prefix

if TYPE_CHECKING:
    from tests.hub.server import Hub


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the endpoints that carry content."""
    for kind in ("models", "datasets", "spaces"):
        _add_resolve(app, hub, kind)

    @app.api_route("/cdn/{sha256}", methods=["GET", "HEAD"])
    def cdn(sha256: str) -> FileResponse:
        # The real one is another host behind signed addresses: it asks for no token.
        return FileResponse(hub.store.path(sha256), headers={"ETag": f'"{sha256}"'})

    @app.post("/{repository:path}.git/info/lfs/objects/batch")
    async def batch(request: Request, repository: str) -> dict[str, Any]:
        kind, _, name = repository.partition("/")
        if kind not in ("datasets", "spaces"):
            kind, name = "models", repository
        hub.writable(request, kind, name)
        answers = []
        for wanted in (await request.json())["objects"]:
            oid = wanted["oid"]
            if not hub.store.path(oid).is_file():
                upload = {"href": f"{hub.url}/lfs/{oid}"}
                verify = {"href": f"{hub.url}/lfs/{oid}/verify"}
                wanted = {**wanted, "actions": {"upload": upload, "verify": verify}}
            answers.append(wanted)
        return {"transfer": "basic", "objects": answers}

    @app.put("/lfs/{oid}")
    async def upload(request: Request, oid: str) -> None:
        data = await request.body()
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refusal(400, None, "The content does not have the announced SHA-256")
        hub.store.put(data)

    @app.post("/lfs/{oid}/verify")
    async def verify(request: Request, oid: str) -> None:
        path = hub.store.path(oid)
        if not path.is_file() or path.stat().st_size != (await request.json())["size"]:
            raise Refusal(404, None, "The upload did not arrive")


def _add_resolve(app: FastAPI, hub: Hub, kind: str) -> None:
    address = f"/{prefix(kind)}{{user}}/{{name}}/resolve/{{revision}}/{{path:path}}"

    @app.api_route(address, methods=["GET", "HEAD"])
    def resolve(request: Request, user: str, name: str, revision: str, path: str) -> Response:
        commit = hub.readable(request, kind, f"{user}/{name}").resolve(unquote(revision))
        about = {"X-Repo-Commit": commit.oid}
        file = commit.files.get(unquote(path))
        if file is None:
            raise Refusal(404, "EntryNotFound", "Entry not found", about)
        if not file.lfs:
            headers = {**about, "ETag": f'"{file.etag}"'}
            return FileResponse(hub.store.path(file.sha256), headers=headers)
        about |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)}
        return Response(
            status_code=302, headers={**about, "Location": f"{hub.cdn_url}/{file.sha256}"}
        )
