"""Spaces: variables, secrets, hardware, logs, and a platform that runs what is committed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from tests.hub.repository import Refusal, Repository
from tests.support.visit import free_port

if TYPE_CHECKING:
    from tests.hub.server import Hub


# Isolated from this repository: only the Space's folder and the installed packages are found.
_RUN = """
import os, runpy, sys
sys.path.insert(0, os.getcwd())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_STARTED = "Ctrl-C ends it"


class Page:
    """A Space's folder, running in a process of this machine as the platform would run it.

    Attributes:
        url: where it will answer.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str], python: str = sys.executable
    ) -> None:
        """Start it.

        Args:
            folder: what the Space's repository holds.
            settings: variables and secrets.
            python: interpreter of the environment that it runs in.
        """
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self._log = folder.with_suffix(".log")
        # Of this process's environment only what keeps the page off the network and small.
        kept = {"PATH", "HF_HOME", "HF_HUB_OFFLINE", "GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR"}
        environment = {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **{"SYSTEM": "spaces", "SPACE_ID": "me/page", "HOME": str(folder)},
            **{"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)},
            **settings,
            "OMP_NUM_THREADS": "1",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-I", "-c", _RUN, app_file(folder)],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def stage(self) -> str:
        if self._process.poll() is not None:
            return "RUNTIME_ERROR"
        return "RUNNING" if _STARTED in self.log else "APP_STARTING"

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def wait(self, seconds: float) -> str:
        """Wait until it has started or failed, and return its stage."""
        deadline = time.monotonic() + seconds
        while self.stage == "APP_STARTING" and time.monotonic() < deadline:
            time.sleep(0.2)
        return self.stage

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def app_file(folder: Path) -> str:
    """Read the front matter's ``app_file``, as the platform does."""
    text = (folder / "README.md").read_text("utf-8")
    return str(yaml.safe_load(text.split("---\n")[1])["app_file"])


@dataclass
class Space:
    """What the platform knows of a Space besides its files.

    Attributes:
        repository: its files.
        hardware: flavour that was asked for.
        variables: name to value.
        secrets: name to value; values are never told.
        stages: what ``runtime`` answers, one after the other; the last one stays. A commit or a
            restart replaces them by ``next_stages``.
        next_stages: how the next build goes; None runs the page for real.
        log: what the build or the page has written.
        host: address of the page.
        restarts: how often a restart was asked for.
    """

    repository: Repository
    hardware: str
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    stages: list[str] = field(default_factory=lambda: ["NO_APP_FILE"])
    next_stages: tuple[str, ...] | None = ("BUILDING", "APP_STARTING", "RUNNING")
    log: str = ""
    host: str | None = None
    restarts: int = 0
    page: Page | None = None

    def start(self, hub: Hub) -> None:
        """Build and start what the repository holds."""
        if self.next_stages is not None:
            self.stages = list(self.next_stages)
            return
        self.close()
        commit = self.repository.resolve("main")
        folder = hub.store.folder / f"space-{commit.oid}"
        for name, file in commit.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(hub.store.path(file.sha256).read_bytes())
        self.page = Page(folder, {**self.variables, **self.secrets})
        self.host = self.page.url

    @property
    def runtime(self) -> dict[str, Any]:
        """The platform's answer, in its words."""
        if self.page:
            self.stages, self.log = [self.page.stage], self.page.log
        stage = self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
        error = {"errorMessage": f"injected {stage}"} if stage.endswith("ERROR") else {}
        hardware = {"current": self.hardware, "requested": self.hardware}
        sha = self.repository.branches["main"]
        return {"stage": stage, "hardware": hardware, "gcTimeout": 172800, "sha": sha, **error}

    def close(self) -> None:
        if self.page:
            self.page.close()


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the endpoints that only Spaces have; all but ``runtime`` are their owner's."""
    base = "/api/spaces/{user}/{name}"

    def owned(request: Request, user: str, name: str) -> Space:
        hub.writable(request, "spaces", f"{user}/{name}")
        return hub.spaces[f"{user}/{name}"]

    @app.get(base + "/runtime")
    def runtime(request: Request, user: str, name: str) -> Any:
        hub.readable(request, "spaces", f"{user}/{name}")
        return hub.spaces[f"{user}/{name}"].runtime

    @app.get(base + "/variables")
    def variables(request: Request, user: str, name: str) -> Any:
        space = owned(request, user, name)
        return {key: {"key": key, "value": value} for key, value in space.variables.items()}

    @app.post(base + "/variables")
    async def set_variable(request: Request, user: str, name: str) -> Any:
        space, wanted = owned(request, user, name), await request.json()
        space.variables[wanted["key"]] = wanted["value"]
        return variables(request, user, name)

    @app.delete(base + "/variables")
    async def delete_variable(request: Request, user: str, name: str) -> Any:
        space, wanted = owned(request, user, name), await request.json()
        del space.variables[wanted["key"]]
        return variables(request, user, name)

    @app.get(base + "/secrets")
    def secrets(request: Request, user: str, name: str) -> Any:
        return {key: {"key": key} for key in owned(request, user, name).secrets}

    @app.post(base + "/secrets")
    async def set_secret(request: Request, user: str, name: str) -> None:
        space, wanted = owned(request, user, name), await request.json()
        space.secrets[wanted["key"]] = wanted["value"]

    @app.post(base + "/hardware")
    async def hardware(request: Request, user: str, name: str) -> Any:
        space = owned(request, user, name)
        space.hardware = (await request.json())["flavor"]
        return space.runtime

    @app.post(base + "/restart")
    def restart(request: Request, user: str, name: str) -> Any:
        space = owned(request, user, name)
        space.restarts += 1
        space.start(hub)
        return space.runtime

    @app.put(base + "/settings")
    async def settings(request: Request, user: str, name: str) -> Any:
        repository = owned(request, user, name).repository
        repository.private = (await request.json())["visibility"] == "private"
        return {"private": repository.private}

    @app.get(base + "/logs/{which}")
    def logs(request: Request, user: str, name: str, which: str) -> StreamingResponse:
        if which not in ("build", "run"):
            raise Refusal(404, None, "There are build and run logs")
        lines = owned(request, user, name).log.splitlines(keepends=True)

        def events() -> Iterator[str]:
            for line in lines:
                yield f"data: {json.dumps({'data': line, 'timestamp': ''})}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")
