"""A process that runs a model of somebody else once: what ``emotion.engine.trial`` starts.

It reads a model and crops from its standard input and writes features to its standard output.
"""

from __future__ import annotations

import struct
import sys

import numpy as np

from emotion import child
from emotion.quiet_openvino import import_openvino

HEAD = struct.Struct(">QQQ")
"""Bytes of structure and of constants, and number of crops, which follow in this order."""

_SIDE = 64  # of a crop; emotion.align has it, with OpenCV


def main() -> None:
    """Answer once."""
    source, answers = sys.stdin.buffer, child.answers()
    structure, constants, crops = HEAD.unpack(source.read(HEAD.size))
    openvino = import_openvino()
    core, text = openvino.Core(), source.read(structure)
    weights = openvino.Tensor(np.frombuffer(source.read(constants), np.uint8))
    model = core.read_model(model=text, weights=weights)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    pixels = np.frombuffer(source.read(crops * _SIDE * _SIDE), np.uint8)
    request.infer([pixels.reshape(-1, _SIDE, _SIDE)])
    features = request.output_tensors[-1].data
    answers.write(np.ascontiguousarray(features, np.float32).tobytes())
    answers.flush()


if __name__ == "__main__":
    main()
