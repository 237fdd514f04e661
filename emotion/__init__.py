"""Six facial expressions, and why: everything that runs at inference.

The heavy names are imported on first use, so that ``import emotion`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emotion.errors import (
    AlignmentError,
    ConfigError,
    DataError,
    EmotionError,
    ImageError,
    InstallationError,
    WeightsError,
    imports_explained,
)
from emotion.labels import LABELS

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.images import decode_image
    from emotion.network import EmotionNet
    from emotion.result import FaceResult
    from emotion.table import emotion_columns, to_frame
    from emotion.tracker import Tracker
    from emotion.weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "LABELS",
    "AlignmentError",
    "Analyzer",
    "ConfigError",
    "DataError",
    "EmotionError",
    "EmotionNet",
    "FaceResult",
    "ImageError",
    "InstallationError",
    "Tracker",
    "WeightsError",
    "__version__",
    "decode_image",
    "emotion_columns",
    "load_weights",
    "to_frame",
]

_HOMES = {
    "Analyzer": "emotion.analyzer",
    "EmotionNet": "emotion.network",
    "FaceResult": "emotion.result",
    "Tracker": "emotion.tracker",
    "decode_image": "emotion.images",
    "emotion_columns": "emotion.table",
    "load_weights": "emotion.weights",
    "to_frame": "emotion.table",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        with imports_explained():
            return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'emotion' has no attribute {name!r}")
