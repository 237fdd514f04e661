"""The network as one file for other runtimes: from a crop to probabilities, maps and calm."""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotion.align import CROP_SIZE, align_face
from emotion.analyzer import Analyzer
from emotion.calibration import MOST
from emotion.cam import grid_taps
from emotion.detect import Detector
from emotion.engine import Run, TorchEngine
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.errors import ConfigError
from emotion.files import check_target, write_bytes
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.network import EmotionNet, normalise
from emotion.weights import load
from train.corpora.drawing import draw_face

Format = Literal["onnx", "openvino", "pt2"]
ENDINGS: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "pt2": ".pt2"}
OUTPUTS = ("probabilities", "logits", "maps", "calm")

FACES = 500
"""Drawn faces on which an exported network is compared with torch."""

FARTHEST = 1e-3
"""Largest difference from torch of any probability, and of any other number over the largest."""

_BATCH = 50
_FORMAT_NAMES = {"onnx": "ONNX", "openvino": "OpenVINO", "pt2": "torch.export"}


class PortableGraph(nn.Module):
    """Everything between a crop and what people are told; no line of this project is needed.

    The mirror image, the linear layer that answers, the class offsets and the temperatures, and the
    regular grid of the maps are inside.
    """

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        config = network.config
        self.network = network.eval()
        self.slope: Tensor
        self.calibrated = bool(config.temperature_slope)
        with torch.inference_mode():
            blank = torch.zeros(1, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)
            height, width = network.evidence(normalise(blank, config)).shape[-2:]
        rows, columns = grid_taps(height, width, config)
        self.cells = height * width
        for name, values in {
            "rows": rows,
            "columns": columns,
            "slope": np.array(config.temperature_slope or (0.0,), np.float32),
            "class_offsets": np.array(config.class_offsets or [0.0] * len(LABELS), np.float32),
        }.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Classify and explain crops.

        Args:
            crops: uint8 (B, 64, 64), grey and aligned.

        Returns:
            ``probabilities`` float32 (B, 6), calibrated; ``logits`` (B, 6), before calibration;
            ``maps`` (B, 6, 8, 8), non-negative; and ``calm`` (B,), 0..1, where the weights tell.
        """
        network, config = self.network, self.network.config
        features = network.evidence(normalise(crops, config).contiguous())
        pooled = features.mean((2, 3))
        logits = network.head(pooled)
        own = torch.einsum("bkhw,ck->bchw", features, network.head.weight).relu() / self.cells
        maps = torch.einsum("ih,bchw,jw->bcij", self.rows, own, self.columns)
        temperature: Tensor | float = config.temperature
        if self.calibrated:
            exponent = pooled @ self.slope - config.temperature_offset
            bound = math.log(MOST)
            temperature = (config.temperature * exponent.clamp(-bound, bound).exp())[:, None]
        probabilities = ((logits + self.class_offsets) / temperature).softmax(1)
        outputs = (probabilities, logits, maps)
        if network.calm is None:
            return outputs
        calm = (network.calm(pooled)[:, 0] - config.calm_bound) / config.calm_temperature
        return (*outputs, calm.sigmoid())


def export_portable(weights: str, kind: Format, out: Path | None) -> int:
    """Write the network for another runtime, after a comparison with torch.

    Args:
        weights: SPEC, see ``emotion.weights.load``.
        kind: which runtime.
        out: the file; OpenVINO gets a second one beside it, ending in ``.bin``. None takes
            ``emotion`` with the format's ending in the working directory.

    Returns:
        Exit code: 0 if it was written, 1 if it differs from torch.

    Raises:
        ConfigError: if ``out`` has another ending, or a library is missing.
        DataError: if it cannot be written.
        WeightsError: if the weights cannot be used.
    """
    ending = ENDINGS[kind]
    out = out or Path(f"emotion{ending}")
    if out.suffix.lower() != ending:
        raise ConfigError(f"A file of {_FORMAT_NAMES[kind]} ends in {ending}; {out} does not.")
    check_target(out)
    loaded = load(weights)
    network = loaded.network
    config = network.config
    facts = {
        "labels": ",".join(config.labels),
        "abstain_below": repr(config.abstain_below),
        "calm_from": "0.5",
        "zoom": repr(config.zoom),
        "template": config.template,
        "convention": config.convention,
        "weights_sha256": loaded.digest,
    }
    graph = PortableGraph(network)
    files, run = _MAKERS[kind](graph.eval(), facts)
    difference = compare(network, run)
    told = ", ".join(f"{name} {value:.1e}" for name, value in difference.items())
    print(f"Largest differences from torch on {FACES} drawn faces: {told}.")
    if not max(difference.values()) <= FARTHEST:
        print(f"Not written: at most {FARTHEST:g} is rounding.")
        return 1
    for suffix, content in files.items():
        write_bytes(out.with_suffix(suffix), content)
    size = sum(map(len, files.values())) / 1e6
    print(f"Wrote {out} ({size:.1f} MB).")
    return 0


def drawn_crops(count: int) -> npt.NDArray[np.uint8]:
    """Draw faces and align them by their own landmarks: uint8 (count, 64, 64)."""
    crops = []
    for index in range(count):
        picture, landmarks = draw_face(LABELS[index % len(LABELS)], 0, index)
        crops.append(align_face(decode_image(picture), np.reshape(landmarks, (5, 2)))[0])
    return np.stack(crops)


def compare(network: EmotionNet, run: Run) -> dict[str, float]:
    """Compare an exported network with what the analyzer answers in torch.

    Returns:
        The largest difference of each output; of logits and maps over their largest number.
    """
    crops = drawn_crops(FACES)
    reference = Analyzer(network, _NoDetector())
    farthest = dict.fromkeys(OUTPUTS if network.config.calm else OUTPUTS[:3], 0.0)
    for start in range(0, len(crops), _BATCH):
        batch = crops[start : start + _BATCH]
        expected = reference.classify(batch)
        wanted = {
            "probabilities": expected.probabilities,
            "logits": reference.exact(batch)[0].logits,
            "maps": expected.cams,
            "calm": expected.calm,
        }
        for (name, before), values in zip(farthest.items(), run(batch), strict=True):
            exact = np.asarray(wanted[name])
            scale = float(np.abs(exact).max()) if name in ("logits", "maps") else 1.0
            difference = float(np.abs(values - exact).max()) / max(scale, 1e-6)
            farthest[name] = max(before, difference) if difference == difference else math.inf
    return farthest


class _NoDetector(Detector):
    """The comparison is of crops."""

    def detect(self, *_: Any, **__: Any) -> list[Any]:
        raise NotImplementedError


def _onnx(graph: PortableGraph, facts: dict[str, str]) -> tuple[dict[str, bytes], Run]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter imports it
    except ImportError as error:
        raise ConfigError(
            f"ONNX needs onnx, onnxscript and onnxruntime ({error}); install them: "
            "pip install onnx onnxscript onnxruntime"
        ) from None
    program = torch.onnx.export(
        graph,
        (_example(),),
        dynamo=True,
        verbose=False,
        input_names=["crops"],
        output_names=list(OUTPUTS if graph.network.config.calm else OUTPUTS[:3]),
        dynamic_shapes={"crops": {0: torch.export.Dim("batch")}},
    )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, facts)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return {".onnx": content}, lambda crops: tuple(session.run(None, {"crops": crops}))


def _openvino(graph: PortableGraph, facts: dict[str, str]) -> tuple[dict[str, bytes], Run]:
    try:
        engine = OpenVINOEngine()
    except ImportError as error:
        raise ConfigError(f"{error}; install it: pip install openvino") from None
    model = engine.convert(graph, _example(), (0,))
    for name, output in zip(OUTPUTS, model.outputs, strict=False):
        output.get_tensor().set_names({name})
    for name, value in facts.items():
        model.set_rt_info(value, ["sep_emotion", name])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        engine.save(model, path)
        # The .bin first: who reads the .xml finds both.
        files = {end: path.with_suffix(end).read_bytes() for end in (".bin", ".xml")}
    return files, engine.load(files[".xml"], files[".bin"])


def _pt2(graph: PortableGraph, facts: dict[str, str]) -> tuple[dict[str, bytes], Run]:
    shapes = {"crops": {0: torch.export.Dim("batch")}}
    buffer = io.BytesIO()
    program = torch.export.export(graph, (_example(),), dynamic_shapes=shapes)
    torch.export.save(program, buffer, extra_files={"sep-emotion.json": json.dumps(facts)})
    buffer.seek(0)
    module = torch.export.load(buffer).module()

    return {".pt2": buffer.getvalue()}, TorchEngine().compile(module, _example(), (0,))


def _example() -> Tensor:
    # Two, since a batch of one is taken for a constant.
    return torch.zeros(2, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)


_MAKERS: dict[Format, Callable[[PortableGraph, dict[str, str]], tuple[dict[str, bytes], Run]]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "pt2": _pt2,
}
