"""``model.onnx`` beside the weights: the network's graph, for browsers and other ONNX runtimes.

Its constants stay in ``model.safetensors``, where it points into, so the two files belong together
and the weights exist once.
"""

from __future__ import annotations

import json
from pathlib import Path

from emotion.config import NetworkConfig

NAME = "model.onnx"
MAX_BYTES = 4 << 20
"""Of a graph without its constants; that of the embedded weights has 30 KB."""

PROPERTY = "sep_emotion"
"""Key of the metadata under which ``mark`` stands."""

_GRAPH = ("activation", "stem", "max_pool", "standardise", "mean", "std", "mirror")


def mark(digest: str, config: NetworkConfig) -> str:
    """Say what a graph was made from: the tensors, and what else it has inside.

    Linear layers, calibration and threshold come after it and may change.

    Args:
        digest: SHA-256 of the tensor file.
        config: of the weights.
    """
    facts = {"weights": digest, **{name: getattr(config, name) for name in _GRAPH}}
    return json.dumps(facts, sort_keys=True)


def read(folder: Path, digest: str, config: NetworkConfig) -> bytes | None:
    """Return the graph that lies beside weights, if it was made from them.

    It is never parsed here; only a browser does, where a damaged one does no harm.
    """
    try:
        with (folder / NAME).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    fits = len(data) <= MAX_BYTES and mark(digest, config).encode() in data
    return data if fits else None
