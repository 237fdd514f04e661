"""Files that are written bit by bit, and have their name when they are finished, not before."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from emotion.errors import ConfigError, DataError
from emotion.files import cannot_write, check_target, open_device, regular

STDOUT = Path("-")
"""Stands for standard output where the name of a file is asked for."""


def check_targets(*targets: Path | None) -> None:
    """Refuse what could not be written, before anything slow begins.

    Raises:
        ConfigError: if two are the same.
        DataError: see ``emotion.files.check_target``.
    """
    named = [target for target in targets if target is not None]
    for number, target in enumerate(named):
        if target in named[:number]:
            shown = "Standard output" if target == STDOUT else str(target)
            raise ConfigError(f"{shown} cannot take two things at once; name another file.")
        if target != STDOUT:
            check_target(target)


class GrowingFile:
    """Text in UTF-8 that grows under a temporary name; names of files in it may hold any bytes.

    What is no ordinary file, as ``-`` for standard output or ``/dev/null``, is written to directly.

    Args:
        path: what the file is called in the end.
        keep: let what was written stand as ``PATH.partial`` if it is not finished; otherwise the
            temporary file is hidden, and deleted.

    Raises:
        DataError: if it cannot be written.
    """

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self.path = path
        self.partial: Path | None = None
        """Where it grows; None for what is no ordinary file."""
        self._keep = keep
        self._file: BinaryIO | None = None
        try:
            self._place = None if path == STDOUT else regular(path)
        except (OSError, ValueError) as error:
            raise DataError(cannot_write(path, error)) from None
        if self._place is not None:
            name = self._place.name[:200]
            hidden = f".{name}.{os.getpid()}.partial"
            self.partial = self._place.with_name(f"{name}.partial" if keep else hidden)

    def __enter__(self) -> GrowingFile:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
        if self.partial is not None and not self._keep:
            self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Write no more; what is not finished does not get its name."""
        if self._file is not None and self.path != STDOUT:
            self._file.close()

    def write(self, text: str) -> None:
        """Add text in one piece, so that whoever ends the process leaves whole lines.

        Raises:
            DataError: if it cannot be written.
        """
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(text.encode("utf-8", "surrogateescape"))
            self._file.flush()
        except (OSError, ValueError) as error:
            if self.path == STDOUT and isinstance(error, BrokenPipeError):
                raise  # who reads has seen enough
            raise DataError(cannot_write(self.path, error)) from None

    def finish(self) -> None:
        """Flush the file to disk and give it its name.

        Raises:
            DataError: if it cannot be written.
        """
        self.write("")
        assert self._file is not None
        if self.partial is None or self._place is None:
            return
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self.partial.replace(self._place)
        except OSError as error:
            raise DataError(cannot_write(self.path, error)) from None

    def _open(self) -> BinaryIO:
        if self.path == STDOUT:
            return sys.stdout.buffer
        if self.partial is None:
            return open_device(self.path)
        return self.partial.open("ab" if self._keep else "wb", buffering=1 << 20)
