"""Writing files that matter: complete, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from emotion.errors import DataError


def check_target(path: Path) -> None:
    """Refuse what ``write_bytes`` could not write, before anything slow begins.

    Raises:
        DataError: if the folder does not exist, the path is one, or its name cannot be a file's.
    """
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise DataError(f"{path} is a folder; give the name of a file.")
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise DataError(f"The folder {path.parent} does not exist; create it first.") from None
    except (OSError, ValueError) as error:
        raise DataError(cannot_write(path, error)) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, flush it to disk, and rename it.

    A link stays a link: the file that it leads to is replaced. What is no ordinary file, as
    ``/dev/stdout`` or a named pipe, is written to and stays what it is.

    Raises:
        DataError: if it cannot be written; an existing file stays untouched.
    """
    try:
        place = regular(path)
        if place is None:
            _write_into(path, data)
            return
        partial = place.with_name(f".{place.name[:200]}.{os.getpid()}.partial")
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise DataError(cannot_write(path, error)) from None


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, see ``write_bytes``; names of files may hold any bytes."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder; one that cannot be a path does not."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long
        return False


def shortened(text: str) -> str:
    """Return a name as a sentence shows it: whole, or only its beginning."""
    return text if len(text) < 200 else f"{text[:100]}..."


def regular(path: Path) -> Path | None:
    """Return the ordinary file that a path leads to or will lead to; None for any other thing.

    Raises:
        OSError: if the path leads in circles, through a file, or is too long.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
    except FileNotFoundError:
        pass  # to be made, perhaps where a link leads
    return path.resolve() if path.is_symlink() else path


def _write_into(path: Path, data: bytes) -> None:
    with open_device(path) as file:
        file.write(data)


def open_device(path: Path) -> BinaryIO:
    """Open a device or a pipe to write to it; one that nobody reads is an error.

    Raises:
        OSError: if it cannot be opened.
    """
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


def cannot_write(path: Path, error: Exception) -> str:
    """Say that a file cannot be written, why, and what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    name = shortened(str(path))
    return f"{name} cannot be written ({reason}); free some space or choose another place."
