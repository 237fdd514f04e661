"""Files of the HTTP interface: in a private folder of this run, and gone once they are read."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from emotion.errors import ConfigError, ImageError
from emotion.ui.clients import client_of

try:
    import fcntl
except ImportError:  # no POSIX: a folder whose server was killed stays there
    fcntl = None  # type: ignore[assignment]

MAX_FILE = 8 * 1024 * 1024
"""Largest accepted file in bytes."""

MAX_FILES_AT_ONCE = 8
"""Most files in one request."""

LIFETIME = 120.0
"""Seconds after which a file is deleted that nobody asked for."""

PER_ADDRESS = (32, 64 * 1024 * 1024)
"""Most files, and bytes in them, that wait to be read from one address."""

ALTOGETHER = (256, 512 * 1024 * 1024)
"""The same of all addresses."""

FULL = "Too many uploads wait to be read; ask for their answers first."

_PREFIX = "emotion-uploads-"
_LOCK = "lock"
_VARIABLE = "GRADIO_TEMP_DIR"
_PARENT = os.environ.get(_VARIABLE, "")


class Uploads:
    """The folder, and who put what into it; safe to share by threads."""

    def __init__(self) -> None:
        """Make the folder, which only this user may enter, and delete those of servers that died.

        Gradio writes what it answers there too, so this comes before its components are made.

        Raises:
            ConfigError: if no folder can be made.
        """
        parent = Path(_PARENT or tempfile.gettempdir())
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _delete_stale(parent)
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
            lock = _hold(self.folder / _LOCK)
        except OSError as error:
            raise ConfigError(
                f"No folder for uploads can be made in {parent} ({error.strerror}); free some "
                f"space or name another place with {_VARIABLE}."
            ) from None
        os.environ[_VARIABLE] = str(self.folder)
        self._known: dict[Path, tuple[str, int]] = {}  # who sent it, and its size
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _delete, self.folder, lock)
        self._sweeper = threading.Thread(
            target=_sweep_regularly, args=(weakref.ref(self),), daemon=True
        )
        self._sweeper.start()

    async def receive(self, request: Request) -> Response:
        """Answer a multipart request with the paths under which its ``files`` lie here."""
        address = client_of(request).address
        try:
            async with request.form(max_files=MAX_FILES_AT_ONCE, max_fields=8) as form:
                files = [
                    (file.filename or "", await file.read())
                    for file in form.getlist("files")
                    if not isinstance(file, str)
                ]
        except HTTPException as error:
            return refusal(400, f"The upload cannot be read ({error.detail}); send it again.")
        except ClientDisconnect:
            return refusal(400, "The upload broke off; send it again.")
        if not files:
            return refusal(400, 'Send the picture as a form with a field named "files".')
        try:
            paths = [
                await anyio.to_thread.run_sync(self.keep, data, address, name)
                for name, data in files
            ]
        except ImageError as error:
            return refusal(413, str(error))
        except BlockingIOError:
            return refusal(429, FULL)
        return JSONResponse([str(path) for path in paths])

    def keep(self, data: bytes, address: str, name: str = "") -> Path:
        """Write a file for a visitor and return its path, which nobody can guess.

        Raises:
            ImageError: if it is too large.
            BlockingIOError: if this visitor, or everybody together, has too much here.
        """
        if len(data) > MAX_FILE:
            raise ImageError(
                f"The picture is larger than {MAX_FILE // 1024**2} MB; send a smaller one."
            )
        suffix = re.sub(r"[^A-Za-z0-9.]", "", Path(name).suffix)[:10]
        path = self.folder / secrets.token_hex(16) / f"picture{suffix}"
        with self._lock:
            if not self._fits(len(data), address):
                raise BlockingIOError
            path.parent.mkdir(mode=0o700)
            path.write_bytes(data)
            self._known[path] = address, len(data)
        return path

    def has_room(self, address: str, size: int) -> bool:
        """Tell whether this visitor may send so much, before it is read."""
        with self._lock:
            return self._fits(max(1, size), address)

    def _fits(self, size: int, address: str) -> bool:
        self._known = {path: fact for path, fact in self._known.items() if path.exists()}
        everybody = [size for _, size in self._known.values()]
        own = [size for sender, size in self._known.values() if sender == address]
        return all(
            len(held) < most and sum(held) + size <= bound
            for (most, bound), held in ((PER_ADDRESS, own), (ALTOGETHER, everybody))
        )

    def holds(self, path: str) -> bool:
        """Tell whether a path names a file of this folder that is still there."""
        try:
            resolved = Path(path).resolve()
            return self.folder in resolved.parents and resolved.is_file()
        except (OSError, ValueError, RuntimeError):
            return False

    def take(self, path: str) -> bytes:
        """Read a file and delete it.

        Raises:
            ImageError: if it is not there any more, or never was.
        """
        try:
            if not self.holds(path):
                raise FileNotFoundError
            data = Path(path).read_bytes()
        except OSError:
            raise ImageError(
                "The uploaded picture is not there any more; upload it again."
            ) from None
        self.forget(path)
        return data

    def forget(self, path: str) -> None:
        """Delete a file and the folder that was made for it."""
        if self.holds(path):
            with suppress(OSError):
                Path(path).unlink()
                Path(path).parent.rmdir()

    def sweep(self) -> None:
        """Delete what nobody asked for in time."""
        oldest = time.time() - LIFETIME
        with suppress(OSError):  # the folder may be closed meanwhile
            for path in list(self.folder.glob("*/*")):
                with suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        self.forget(str(path))

    def close(self) -> None:
        """Delete everything."""
        self._finalizer()


def refusal(status: int, sentence: str) -> Response:
    """Answer with a sentence, as every refusal of this server does."""
    return JSONResponse({"detail": sentence, "error": sentence}, status)


def _hold(path: Path) -> IO[Any]:
    """Open a file that is locked for as long as this process lives."""
    file = path.open("wb")
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _delete(folder: Path, lock: IO[Any]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()
    if os.environ.get(_VARIABLE) == str(folder):
        os.environ.pop(_VARIABLE)
        if _PARENT:
            os.environ[_VARIABLE] = _PARENT


def _delete_stale(parent: Path) -> None:
    """Delete the folders of servers that were killed: those whose lock nobody holds."""
    if fcntl is None:
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            facts = folder.lstat()
            if folder.is_symlink() or facts.st_uid != os.getuid():
                continue
            try:
                with (folder / _LOCK).open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                if facts.st_mtime < time.time() - LIFETIME:  # not one that is just being made
                    shutil.rmtree(folder, ignore_errors=True)


def _sweep_regularly(reference: weakref.ref[Uploads]) -> None:
    while (uploads := reference()) is not None:
        uploads.sweep()
        del uploads
        time.sleep(LIFETIME / 8)
