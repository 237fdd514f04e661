"""``model.onnx``: a graph without constants, which any runtime reads beside its tensors."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from emotion import graph_file
from emotion.config import NetworkConfig
from emotion.detect.checkpoint import MOBILENET_WEIGHTS
from emotion.detect.retinaface import RetinaFaceDetector
from emotion.network import EmotionNet
from emotion.weights import EMBEDDED, load
from tests.train.scoring.conftest import features
from train.scoring.graph import detector_graph, network_graph, write_graph
from train.scoring.inference import save_network

onnxruntime = pytest.importorskip("onnxruntime")


def run(path, name: str, value: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {name: value})


def crops(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(widths=(8, 8, 8, 16), stem="7x7", max_pool=True),
        NetworkConfig(backbone="cnn", widths=(8, 8, 8, 16), activation="silu", mirror=True),
        NetworkConfig(backbone="alexnet", widths=(8, 8, 8, 8, 16), standardise="crop"),
        NetworkConfig(
            backbone="cnn",
            widths=(8, 8, 8, 16),
            conventions=("jaffe", "own"),
            conventions_by="offset",
            convention="own",
        ),
    ],
    ids=lambda config: config.backbone,
)
@pytest.mark.parametrize("half", [True, False], ids=["half", "single"])
def test_a_graph_over_its_tensors_computes_what_torch_does(tmp_path, config, half):
    torch.manual_seed(0)
    network = EmotionNet(config).eval()
    for name, parameter in network.named_parameters():
        if ".offsets." in name:
            torch.nn.init.normal_(parameter)
    save_network(network.half() if half else network, tmp_path)
    path = write_graph(tmp_path)
    loaded = load(str(tmp_path))
    values = crops(3)
    network_graph(loaded)
    assert not any(module.training for module in loaded.network.modules())  # left as it was
    expected = features(loaded.network, values)
    assert np.abs(run(path, "crops", values)[0] - expected).max() < 1e-4 * np.abs(expected).max()
    assert path.stat().st_size < 200_000
    assert graph_file.read(tmp_path, loaded.digest, config) == (path.read_bytes(), False)


def test_the_embedded_graph_belongs_to_the_embedded_weights():
    loaded = load("embedded")
    assert graph_file.read(EMBEDDED, loaded.digest, loaded.network.config) is not None
    values = crops(2)
    found = run(EMBEDDED / graph_file.NAME, "crops", values)[0]
    assert np.abs(found - features(loaded.network, values)).max() < 1e-4


def test_a_graph_of_other_weights_is_not_read(tmp_path):
    loaded = load("embedded")
    config = loaded.network.config
    shutil.copy(EMBEDDED / graph_file.NAME, tmp_path)
    assert graph_file.read(tmp_path, "0" * 64, config) is None
    turned = NetworkConfig(**{**config.__dict__, "mean": 0.25})
    assert graph_file.read(tmp_path, loaded.digest, turned) is None
    assert graph_file.read(tmp_path / "nowhere", loaded.digest, config) is None


def test_a_graph_of_an_earlier_version_has_the_mirror_image_inside(tmp_path):
    loaded = load("embedded")
    config = replace(loaded.network.config, mirror=True)
    older = b"... " + graph_file.mark(loaded.digest, config, mirrors=True).encode()
    (tmp_path / graph_file.NAME).write_bytes(older)
    assert graph_file.read(tmp_path, loaded.digest, config) == (older, True)
    assert graph_file.read(tmp_path, loaded.digest, replace(config, mirror=False)) is None


def test_calibrating_anew_keeps_the_graph():
    loaded = load("embedded")
    other = NetworkConfig(**{**loaded.network.config.__dict__, "temperature": 3.0})
    assert graph_file.read(EMBEDDED, loaded.digest, other) is not None


@pytest.mark.parametrize("size", [(240, 320), (97, 203)])
def test_the_detectors_graph_computes_what_torch_does(tmp_path, size):
    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    expected = RetinaFaceDetector()._heads(image)
    written = tmp_path / MOBILENET_WEIGHTS.with_suffix(".onnx").name
    written.write_bytes(detector_graph())
    shutil.copy(MOBILENET_WEIGHTS, tmp_path)
    for path in (written, MOBILENET_WEIGHTS.with_suffix(".onnx")):
        for found, reference in zip(run(path, "image", image), expected, strict=True):
            assert np.abs(found - reference).max() < 1e-3


def test_no_path_of_this_machine_is_inside():
    for content in (network_graph(load("embedded")), detector_graph()):
        assert b"/site-packages/" not in content
        assert b".py" not in content
