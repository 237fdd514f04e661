"""``int8.onnx``: the graph that browsers run in 8 bits, made by ONNX Runtime's own quantiser.

Its integers are those of the runtime in the browser, which knows nothing of OpenVINO's.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from emotion import graph_file
from emotion.engine import Run
from emotion.errors import ConfigError
from emotion.weights import TENSORS, Loaded
from train.scoring.graph import network_graph

_QUANTISED = ["Conv", "Sigmoid", "Mul", "MaxPool", "AveragePool"]
_MEASURED = "sep_emotion_measured"  # key of the metadata that holds what it costs


def quantise(loaded: Loaded, views: list[Tensor]) -> bytes:
    """Quantise the convolutions and what lies between them, see ``int8_graph``.

    Args:
        loaded: weights in float32.
        views: uint8 (V, 64, 64) each, the views of a face like those they were trained on.

    Returns:
        Contents of a graph that holds its constants.

    Raises:
        ConfigError: if ONNX Runtime or the library that writes graphs is missing.
    """
    runtime()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        graph = folder / graph_file.NAME
        graph.write_bytes(network_graph(loaded))
        (folder / TENSORS).write_bytes((loaded.folder / TENSORS).read_bytes())
        return int8_graph(float_graph(graph, folder), views).read_bytes()


def float_graph(graph: Path, folder: Path) -> Path:
    """Write a graph with its constants inside, folded.

    Args:
        graph: ``model.onnx`` beside its tensors.
        folder: where the other one is written.

    Returns:
        Its path.
    """
    ort = runtime()
    path = folder / "float32.onnx"
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return path


def int8_graph(source: Path, views: list[Tensor]) -> Path:
    """Quantise a graph after training (Krishnamoorthi, 2018).

    Weights get a scale per channel and 7 bits, since some processors saturate sums of products of
    8; activations get one per tensor, from the ranges seen on the faces. What standardises the
    crops stays in float32: in 8 bits the deviation of a dark one would be a rough guess.

    Args:
        source: what ``float_graph`` wrote.
        views: uint8 (V, 64, 64) of each face.

    Returns:
        Path of the new graph, beside the other.
    """
    runtime()
    import onnx
    from onnxruntime import quantization

    path = source.with_name(graph_file.INT8)
    nodes = onnx.load(source).graph.node
    first = next(at for at, node in enumerate(nodes) if node.op_type == "Conv")
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it asks for a preparation that ``float_graph`` is
    try:
        quantization.quantize_static(
            source,
            path,
            _Views(views),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            nodes_to_exclude=[node.name for node in nodes[:first]],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        logging.disable(disabled)
    return path


class _Views:
    """Hands the quantiser the views of one face after another."""

    def __init__(self, views: list[Tensor]) -> None:
        self._left: Iterator[Tensor] = iter(views)

    def get_next(self) -> dict[str, Any] | None:
        shown = next(self._left, None)
        return None if shown is None else {"crops": shown.numpy()}


def run_of(graph: bytes | Path) -> Run:
    """Return what computes feature maps (B, K, h, w) of crops uint8 (B, 64, 64), outside a browser.

    Raises:
        ConfigError: if ONNX Runtime is missing.
    """
    content = graph if isinstance(graph, bytes) else str(graph)
    session = runtime().InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(inputs: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(session.run(None, {"crops": np.ascontiguousarray(inputs)}))

    return run


def marked(graph: bytes, loaded: Loaded, measured: dict[str, Any]) -> bytes:
    """Write into an 8-bit graph which weights it was made from, and what it costs.

    Args:
        graph: what ``quantise`` returned.
        loaded: the weights.
        measured: JSON values, for people.
    """
    import onnx

    model = onnx.load_from_string(graph)
    properties = {
        _MEASURED: json.dumps(measured),
        graph_file.PROPERTY: graph_file.mark(loaded.digest, loaded.network.config),
    }
    onnx.helper.set_model_props(model, properties)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def measured_of(graph: bytes) -> dict[str, Any]:
    """Return what ``marked`` wrote into a graph about its costs."""
    import onnx

    properties = {entry.key: entry.value for entry in onnx.load_from_string(graph).metadata_props}
    measured: dict[str, Any] = json.loads(properties[_MEASURED])
    return measured


def runtime() -> Any:
    """Return the library that makes the graph.

    Raises:
        ConfigError: if it is missing.
    """
    try:
        import onnx  # noqa: F401 # the quantiser needs it
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"The browser's 8-bit graph is made with onnxruntime, which does not load ({error}); "
            "install it: pip install -r requirements-dev.txt"
        ) from None
    return onnxruntime
