"""``int8.onnx``: the browser's graph in 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emotion import graph_file
from emotion.config import NetworkConfig
from emotion.network import EmotionNet
from emotion.weights import EMBEDDED, load
from tests.train.domains.conftest import draw
from tests.train.scoring.conftest import features
from train.scoring.browser import marked, measured_of, quantise, run_of
from train.scoring.export import too_costly
from train.scoring.inference import save_network

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(widths=(8, 8, 16, 16), standardise="crop", mirror=True),
        NetworkConfig(widths=(8, 8, 16, 16), activation="silu", stem="7x7", max_pool=True),
        NetworkConfig(backbone="alexnet", widths=(8, 8, 8, 8, 16)),
    ],
    ids=["crop", "max pool", "alexnet"],
)
def test_8_bits_are_near_float32_and_a_face_in_the_dark_is_the_same_face(
    tmp_path: Path, config: NetworkConfig
) -> None:
    torch.manual_seed(1)
    save_network(EmotionNet(config), tmp_path)
    loaded = load(str(tmp_path))
    faces = draw(24, 0, 1).faces
    graph = quantise(loaded, list(torch.stack([faces, faces.flip(-1)], 1)))
    run, dark = run_of(graph), faces.numpy()[:4] // 8

    (found,) = run(faces.numpy())

    expected = features(loaded.network, faces.numpy())
    away = np.abs(found - expected).max() / np.abs(expected).max()
    assert 0 < away < 0.2
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
    if config.standardise == "crop":
        np.testing.assert_allclose(run(dark)[0], run(dark * 8)[0], atol=1e-3)
    named = marked(graph, loaded, {"all": {"n": 24}})
    np.testing.assert_array_equal(run_of(named)(dark)[0], run(dark)[0])
    assert measured_of(named) == {"all": {"n": 24}}
    assert b"site-packages" not in named
    (tmp_path / graph_file.INT8).write_bytes(named)
    assert graph_file.read_int8(tmp_path, loaded.digest, config) == named
    assert graph_file.read_int8(tmp_path, "0" * 64, config) is None


def test_the_shipped_graph_is_of_the_shipped_weights_and_within_the_limits() -> None:
    loaded = load("embedded")
    graph = graph_file.read_int8(EMBEDDED, loaded.digest, loaded.network.config)
    assert graph is not None
    measured = measured_of(graph)
    assert list(measured) == ["fer2013", "raf-db", "affectnet", "all"]
    assert too_costly(measured["all"]) is None
    crops = draw(12, 0, 1).faces.numpy()
    (found,), expected = run_of(graph)(crops), features(loaded.network, crops)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
