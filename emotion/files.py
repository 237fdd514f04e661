"""Writing files that matter: complete, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from emotion.errors import DataError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, flush it to disk, and rename it.

    Raises:
        DataError: if it cannot be written; an existing file stays untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"{path} cannot be written ({reason}); free some space or choose another place."
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, see ``write_bytes``; names of files may hold any bytes."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))
