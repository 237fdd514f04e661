"""Where tests and benchmarks look for the corpora."""

from __future__ import annotations

import os
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def data_root() -> Path:
    """Return where the corpora lie, whether or not they are there."""
    return Path(os.environ.get("EMOTION_DATA_ROOT", _REPOSITORY.parent / "shared" / "data"))
