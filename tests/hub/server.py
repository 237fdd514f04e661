"""A Hub on a loopback port for unmodified ``huggingface_hub`` and ``datasets`` (Xet disabled)."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.hub import browse, content, spaces, write
from tests.hub.faults import Asked, Fault, Gate, Protocol
from tests.hub.repository import Refusal, Repository, Store
from tests.hub.spaces import Space


@dataclass(frozen=True)
class Account:
    """Whom a token stands for, and whether it may write."""

    user: str
    writes: bool = True


class Hub:
    """A running server; what tests arrange and look at.

    Attributes:
        accounts: token -> account.
        repositories: (kind, ``USER/NAME``) -> repository.
        spaces: ``USER/NAME`` -> what the platform knows of it.
        new_space: values of ``Space`` that the next ones are created with.
        url: address for ``HF_ENDPOINT``.
    """

    def __init__(self, folder: Path, accounts: dict[str, Account]) -> None:
        self.store = Store(folder)
        self.accounts = accounts
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.spaces: dict[str, Space] = {}
        self.new_space: dict[str, Any] = {}
        app = FastAPI()
        app.add_exception_handler(Refusal, _answer_refusal)
        for room in (browse, write, content, spaces):
            room.add_routes(app, self)
        self._gate = Gate(app)
        config = uvicorn.Config(
            self._gate, port=0, http=Protocol, ws="none", lifespan="off", log_level="critical"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.port = 0

    def __enter__(self) -> Hub:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        # A connection that a fault broke can keep uvicorn from ending, and nothing waits for it.
        self._thread.join(timeout=10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cdn_url(self) -> str:
        """LFS content lies on another host, to which a client must not send its token."""
        return f"http://localhost:{self.port}/cdn"

    @property
    def requests(self) -> list[Asked]:
        """What was asked since the last ``reset``."""
        return self._gate.requests

    def fail(self, pattern: str, **how: Any) -> None:
        """Arrange a fault, see ``Fault``."""
        self._gate.faults.append(Fault(pattern, **how))

    def reset(self) -> None:
        """Forget requests, faults and how Spaces shall behave."""
        self.new_space.clear()
        self._gate.requests.clear()
        self._gate.faults.clear()

    def account(self, request: Request) -> Account | None:
        """Find the account of a request; None for a visitor."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        if token not in self.accounts:
            raise Refusal(401, None, "Invalid credentials in Authorization header")
        return self.accounts[token]

    def readable(self, request: Request, kind: str, name: str) -> Repository:
        """Find a repository; one that may not be read does not exist, as on the real Hub."""
        account = self.account(request)
        repository = self.repositories.get((kind, name))
        if repository and not (
            repository.private and (account is None or account.user != repository.owner)
        ):
            return repository
        if account is None:
            raise Refusal(401, "RepoNotFound", "Invalid username or password.")
        raise Refusal(404, "RepoNotFound", "Repository not found")

    def writable(self, request: Request, kind: str, name: str) -> Repository:
        repository = self.readable(request, kind, name)
        self.check_writes(request, repository.owner)
        return repository

    def check_writes(self, request: Request, owner: str) -> None:
        account = self.account(request)
        if account is None:
            raise Refusal(401, None, "Invalid username or password.")
        if account.user != owner or not account.writes:
            raise Refusal(403, None, f"You don't have the rights to write under {owner}")


def _answer_refusal(_: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, Refusal)
    headers = {"X-Error-Message": refusal.message, **refusal.headers}
    if refusal.code is not None:
        headers["X-Error-Code"] = refusal.code
    return JSONResponse({"error": refusal.message}, refusal.status, headers)
