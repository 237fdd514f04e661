"""How much memory is left, so that what does not fit is refused before it is tried."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return how many bytes this process can still take, or None where that is not known.

    It is what Linux says is available, or less where a control group (a container) has a limit.
    """
    known = [bytes_ for bytes_ in (_of_machine(), _of_group()) if bytes_ is not None]
    return min(known, default=None)


def give_back_large_blocks() -> None:
    """Let glibc return pictures to the system when they are freed; elsewhere nothing happens.

    By itself it keeps an area for each of the server's threads and, after the first large block,
    blocks of up to 32 MB in them. Numbers are those of ``mallopt`` in ``malloc.h``; from 128 KB on,
    blocks go back by themselves, which costs a frame no time that can be measured.
    """
    most_areas, mapped_from = (-8, 2), (-3, 128 << 10)
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for option, value in (most_areas, mapped_from):
            library.mallopt(option, value)


def give_back_free_pages() -> None:
    """Let glibc return the free pages between blocks that are in use; elsewhere nothing happens.

    Small blocks that live long, as the kernels that OpenVINO compiles for each new size of a
    picture, come to lie among blocks that live for one request, and keep their pages.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _of_machine() -> int | None:
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line[:13] == "MemAvailable:")
    except (OSError, ValueError, StopIteration, IndexError):
        return None


def _of_group() -> int | None:
    """Read the limit of version 2; what the group keeps of files can be given back."""
    try:
        limit = int((_CGROUP / "memory.max").read_text("ascii"))  # "max" where there is none
        used = int((_CGROUP / "memory.current").read_text("ascii"))
        facts = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(facts.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
