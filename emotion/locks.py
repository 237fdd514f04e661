"""Holding a file or folder for this process alone."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # no POSIX, no lock
    fcntl = None  # type: ignore[assignment]

POSSIBLE = fcntl is not None
"""Whether this system has such locks."""


def take(descriptor: int) -> bool:
    """Lock what is open; the system lets go of it when it is closed or the process ends.

    Returns:
        False if another process holds it. Where there are no locks, nobody does.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # some network file systems have no locks
    return True
