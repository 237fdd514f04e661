"""``model.onnx`` beside the weights: the network's graph, for browsers and other ONNX runtimes.

Its constants stay in ``model.safetensors``, where it points into, so the two files belong together
and the weights exist once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from emotion.config import NetworkConfig

NAME = "model.onnx"
MAX_BYTES = 4 << 20
"""Of a graph without its constants; that of the embedded weights has 30 KB."""

PROPERTY = "sep_emotion"
"""Key of the metadata under which ``mark`` stands."""

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
    return {**{name: getattr(config, name) for name in _INSIDE}, "mirror": mirrors}


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
    try:
        with (folder / NAME).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    if len(data) <= MAX_BYTES:
        for mirrors in {False, config.mirror}:
            if mark(digest, config, mirrors=mirrors).encode() in data:
                return GraphFile(data, mirrors)
    return None
