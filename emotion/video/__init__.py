"""Videos: reading and copying them, and following the faces in them.

The process that reads strangers' videos starts here, so what needs the network is imported on first
use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotion.video.follow import VideoOptions, analyze_video

__all__ = ["VideoOptions", "analyze_video"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("emotion.video.follow"), name)
    raise AttributeError(f"module 'emotion.video' has no attribute {name!r}")
