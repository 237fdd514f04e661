"""Graphs beside the weights, for browsers and other ONNX runtimes.

The constants of ``model.onnx`` stay in ``model.safetensors``, where it points into, so the two
files belong together and the weights exist once. ``int8.onnx`` holds its own, in 8 bits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from emotion.config import COMMON, NetworkConfig

NAME = "model.onnx"
MAX_BYTES = 4 << 20
"""Of a graph without its constants; that of the embedded weights has 30 KB."""

INT8 = "int8.onnx"
MAX_INT8_BYTES = 64 << 20
"""Of a graph in 8 bits with its constants; that of the embedded weights has 4.8 MB."""

PROPERTY = "sep_emotion"
"""Key of the metadata under which ``mark`` stands."""

_END = 1 << 16  # bytes at the end of a file that hold its metadata
_INSIDE = ("activation", "stem", "max_pool", "standardise", "mean", "std")


class GraphFile(NamedTuple):
    """A graph that lies beside weights.

    Attributes:
        content: of the file.
        mirrors: whether the mean with the mirror image is inside, as in files of earlier versions.
    """

    content: bytes
    mirrors: bool


def facts(config: NetworkConfig, *, mirrors: bool = False) -> dict[str, Any]:
    """Say what a graph has inside, besides the tensors.

    Linear layers, calibration and threshold come after it and may change.
    """
    inside = {**{name: getattr(config, name) for name in _INSIDE}, "mirror": mirrors}
    told = config.conventions_by == "offset" and config.convention != COMMON
    return {**inside, "convention": config.convention} if told else inside


def mark(digest: str, config: NetworkConfig, *, mirrors: bool = False) -> str:
    """Say what a graph was made from.

    Args:
        digest: SHA-256 of the tensor file.
        config: of the weights.
        mirrors: whether the mean with the mirror image is inside.
    """
    return json.dumps({"weights": digest, **facts(config, mirrors=mirrors)}, sort_keys=True)


def read(folder: Path, digest: str, config: NetworkConfig) -> GraphFile | None:
    """Return the graph that lies beside weights, if it was made from them.

    It is never parsed here; only a browser does, where a damaged one does no harm.
    """
    data = _content(folder / NAME, MAX_BYTES)
    for mirrors in {False, config.mirror}:
        if mark(digest, config, mirrors=mirrors).encode() in data:
            return GraphFile(data, mirrors)
    return None


def read_int8(folder: Path, digest: str, config: NetworkConfig) -> bytes | None:
    """Return the graph in 8 bits that lies beside weights, if it was made from them, whole.

    The mark stands at its end, so one that was cut off has none. It is never parsed here, either.
    """
    data = _content(folder / INT8, MAX_INT8_BYTES)
    return data if mark(digest, config).encode() in data[-_END:] else None


def _content(path: Path, most: int) -> bytes:
    """Read a file; empty if it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError:
        return b""
    return data if len(data) <= most else b""
