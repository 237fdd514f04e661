"""Processes that work for this one on what strangers sent: what they see, and where they answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_ROOT = Path(__file__).parents[2]
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "PYTHONHOME")


def environment(*more: str, **settings: str) -> dict[str, str]:
    """Return the variables of such a process: what Python needs to start, and no secret.

    Args:
        more: names that are handed on besides.
        settings: variables of its own.
    """
    kept = {name: os.environ[name] for name in (*_KEPT, *more) if name in os.environ}
    return {**kept, **settings, "PYTHONPATH": str(_ROOT)}


def answers() -> BinaryIO:
    """Return where such a process answers; what a library prints goes to standard error instead."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream
