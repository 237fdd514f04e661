"""What the server writes to the terminal: bounded, and a line that is ours looks like no other."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from typing import TextIO

LINE = 2000
"""Most characters of a line; what is longer was sent by somebody."""

PER_MINUTE = 200 * 1024
"""Most characters within a minute."""

FOREIGN = "| "
"""Begins every line that is not a log entry's first: what libraries print, and tracebacks."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def protect() -> None:
    """Send the log and everything that is printed to standard error through a ``BoundedStream``."""
    if isinstance(sys.stderr, BoundedStream):
        return
    stream = BoundedStream(sys.stderr)
    sys.stderr = stream
    handler = logging.StreamHandler(_Entries(stream))
    handler.setFormatter(_OneEntry("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class BoundedStream:
    """Standard error for what is not ours: every line is marked, cut, and counted."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._lock = threading.RLock()
        self._line = ""
        self._written = self._left_out = 0
        self._minute = time.monotonic()

    def write(self, text: str) -> int:
        """Take text; whole lines are written, the rest waits for its end."""
        with self._lock:
            *lines, last = (self._line + text).split("\n")
            self._line = last[: LINE + 1]
            for line in lines:
                self.entry(FOREIGN + line)
        return len(text)

    def entry(self, line: str) -> None:
        """Write one line as it is, but for its length and control characters."""
        with self._lock:
            now = time.monotonic()
            if now - self._minute >= 60:
                if self._left_out:
                    self._put(f"{FOREIGN}{self._left_out} lines were left out")
                self._minute, self._written, self._left_out = now, 0, 0
            if self._written > PER_MINUTE:
                self._left_out += 1
                return
            cut = line if len(line) <= LINE else f"{line[:LINE]}... ({len(line)} characters)"
            self._put(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", cut))

    def flush(self) -> None:
        """Write what waits in the stream behind."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Return False: nobody shall write colours."""
        return False

    def fileno(self) -> int:
        """Return the descriptor behind, which is unprotected; faulthandler needs it."""
        return self._stream.fileno()

    def _put(self, line: str) -> None:
        self._written += len(line) + 1
        try:
            self._stream.write(f"{line}\n")
        except UnicodeEncodeError:
            self._stream.write(line.encode("ascii", "backslashreplace").decode("ascii") + "\n")


class _Entries:
    """What the log's handler writes to: first lines pass unmarked, the others do not."""

    def __init__(self, stream: BoundedStream) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        first, *others = text.rstrip("\n").split("\n")
        self._stream.entry(first)
        for line in others:
            self._stream.entry(FOREIGN + line)

    def flush(self) -> None:
        self._stream.flush()


class _OneEntry(logging.Formatter):
    """Keeps the message on one line; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")
