"""A folder in which one process works at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emotion import locks
from emotion.errors import ConfigError, DataError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there; a process that dies lets it go.

    Of several processes that train together the first one holds it for all.

    Raises:
        ConfigError: if another process holds it.
        DataError: if it cannot be made.
    """
    if not locks.POSSIBLE or os.environ.get("RANK", "0") != "0":
        yield
        return
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error.strerror}); choose another --out."
        ) from None
    try:
        if not locks.take(descriptor):
            raise ConfigError(
                f"Another process is training in {folder}; wait for it, or choose another --out."
            )
        yield
    finally:
        os.close(descriptor)
        if made:
            with suppress(OSError):  # it holds something, as it should
                folder.rmdir()
