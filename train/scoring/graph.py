"""``model.onnx``: the graph that browsers run, over the tensors that lie beside it."""

from __future__ import annotations

import io
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from emotion import graph_file
from emotion.align import CROP_SIZE
from emotion.classifier import ClassifierGraph
from emotion.detect.checkpoint import MOBILENET_WEIGHTS
from emotion.detect.mobilenet import MobileNetRetinaFace
from emotion.detect.retinaface import DetectorGraph
from emotion.errors import ConfigError
from emotion.files import write_bytes
from emotion.weights import TENSORS, Loaded, load

_OPSET = 17
_SMALL = 192  # px a side of the picture with which the detector is traced; any other size works
_DTYPES = {"F32": "FLOAT", "F16": "FLOAT16"}


def write_graph(weights: str | Path) -> Path:
    """Lay ``model.onnx`` beside weights.

    Raises:
        ConfigError: if the library that writes it is missing, or they are on the Hub.
        DataError: if it cannot be written.
        WeightsError: if the weights cannot be used.
    """
    loaded = load_here(str(weights))
    write_bytes(loaded.folder / graph_file.NAME, network_graph(loaded))
    return loaded.folder / graph_file.NAME


def load_here(weights: str) -> Loaded:
    """Load weights beside which files are to be laid.

    Raises:
        ConfigError: if they are on the Hub.
        WeightsError: if they cannot be used.
    """
    if weights.startswith("hf://"):
        raise ConfigError(
            f"Nothing can be laid beside the weights {weights}; download them to a "
            "folder and name that."
        )
    return load(weights)


def network_graph(loaded: Loaded) -> bytes:
    """Return the graph of a network whose constants are those of its tensor file.

    Raises:
        ConfigError: if the library that writes it is missing.
    """
    crops = torch.zeros(2, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)
    varying = {"crops": {0: "faces"}, "features": {0: "faces"}}
    model = _trace(ClassifierGraph(loaded.network).eval(), crops, varying)
    _point_into(model, (loaded.folder / TENSORS).read_bytes(), TENSORS)
    marked = {graph_file.PROPERTY: graph_file.mark(loaded.digest, loaded.network.config)}
    return _finished(model, marked)


def detector_graph() -> bytes:
    """Return the graph of the embedded detector, over its own tensor file.

    It maps RGB uint8 (1, H, W, 3) as ``DetectorGraph`` does.

    Raises:
        ConfigError: if the library that writes it is missing.
    """
    network = MobileNetRetinaFace()
    network.load_state_dict(load_file(MOBILENET_WEIGHTS))  # equal tensors would become one
    image = torch.zeros(1, _SMALL, _SMALL, 3, dtype=torch.uint8)
    varying = {"image": {1: "height", 2: "width"}}
    varying |= {name: {0: "priors"} for name in ("deltas", "scores", "points")}
    model = _trace(DetectorGraph(network, "mobilenet0.25").eval(), image, varying)
    _point_into(model, MOBILENET_WEIGHTS.read_bytes(), MOBILENET_WEIGHTS.name)
    return _finished(model, {})


def _trace(graph: nn.Module, example: Tensor, varying: dict[str, dict[int, str]]) -> Any:
    """Export a graph with every constant under the name of its tensor.

    The exporter that traces is the one that keeps them apart: the newer one folds normalisation
    into convolutions, and takes twenty seconds for what takes half a one here.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError(f"ONNX needs onnx ({error}); install it: pip install onnx") from None
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is the older exporter, and that sizes are traced
        torch.onnx.export(
            graph,
            (example,),
            buffer,  # type: ignore[arg-type] # the tracing exporter takes files, too
            dynamo=False,
            do_constant_folding=False,
            opset_version=_OPSET,
            input_names=list(varying)[:1],
            output_names=list(varying)[1:],
            dynamic_axes=varying,
        )
    return onnx.load_from_string(buffer.getvalue())


def _point_into(model: Any, tensors: bytes, name: str) -> None:
    """Replace constants by references into a safetensors file, cast to float32 where needed."""
    import onnx

    length = struct.unpack("<Q", tensors[:8])[0]
    header = json.loads(tensors[8 : 8 + length])
    casts = []
    for constant in model.graph.initializer:
        entry = header.get(constant.name.removeprefix("network."))
        if entry is None:
            continue
        start, end = entry["data_offsets"]
        shape = list(constant.dims)
        assert shape == entry["shape"], f"{constant.name} has another shape"
        constant.ClearField("raw_data")
        constant.ClearField("float_data")
        constant.data_type = getattr(onnx.TensorProto, _DTYPES[entry["dtype"]])
        constant.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": name, "offset": 8 + length + start, "length": end - start}
        for key, value in place.items():
            constant.external_data.add(key=key, value=str(value))
        if constant.data_type != onnx.TensorProto.FLOAT:
            stored = f"{constant.name}.stored"
            casts.append(
                onnx.helper.make_node("Cast", [stored], [constant.name], to=onnx.TensorProto.FLOAT)
            )
            constant.name = stored
    nodes = [*casts, *model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)


def _in_single(model: Any) -> None:
    """Make constants in double precision that are cast to float32 what they are cast to.

    The tracing exporter writes a bound of ``clamp`` so, and the runtime for graphics processors
    knows no double precision.
    """
    import onnx

    doubles = {
        node.output[0]: node.attribute[0]
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].t.data_type == onnx.TensorProto.DOUBLE
    }
    for cast in [node for node in model.graph.node if node.op_type == "Cast"]:
        constant = doubles.get(cast.input[0])
        if constant is not None and cast.attribute[0].i == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(constant.t).astype("float32")
            constant.t.CopyFrom(onnx.numpy_helper.from_array(values))


def _finished(model: Any, properties: dict[str, str]) -> bytes:
    import onnx

    _in_single(model)
    for node in model.graph.node:
        node.ClearField("doc_string")  # lines of this machine's files
        node.ClearField("metadata_props")
    onnx.helper.set_model_props(model, properties)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
