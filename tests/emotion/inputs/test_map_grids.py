"""Maps of every network lie where they belong, on one even grid of 8x8 cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from emotion import Analyzer
from emotion.backbones import map_grid
from emotion.cam import regular_maps
from emotion.config import NetworkConfig
from emotion.network import EmotionNet
from emotion.overlay import heat
from emotion.ui.wire import heat_bytes

NETWORKS: dict[str, dict[str, Any]] = {
    "cnn": {"backbone": "cnn", "widths": (8, 8, 8, 16)},
    "resnet18": {"backbone": "resnet18", "widths": (8, 8, 8, 16)},
    "resnet18, max-pool": {"backbone": "resnet18", "widths": (8, 8, 8, 16), "max_pool": True},
    "resnet18, 7x7": {"backbone": "resnet18", "widths": (8, 8, 8, 16), "stem": "7x7"},
    "resnet18, both": {
        "backbone": "resnet18", "widths": (8, 8, 8, 16), "stem": "7x7", "max_pool": True,
    },
    "alexnet": {"backbone": "alexnet", "widths": (8, 8, 8, 8, 16)},
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_cells_are_centred_where_the_grid_says(name: str) -> None:
    """What a unit sees, if every weight is the same, lies evenly around its cell's centre."""
    config = NetworkConfig(**NETWORKS[name])
    first, step = map_grid(config)
    network = EmotionNet(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    torch.manual_seed(0)
    crops = torch.rand(16, 3, 64, 320, requires_grad=True)  # drawn, so that no maximum is a tie
    features = network.features(crops)
    middle = features.shape[-1] // 2
    (gradient,) = torch.autograd.grad(features[:, :, :, middle].sum(), crops)
    seen = gradient.sum((0, 1, 2)).numpy()

    centre = float((np.arange(320) * seen).sum() / seen.sum())

    assert centre == pytest.approx(first + middle * step, abs=0.5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mirror", [False, True])
def test_a_ramp_stays_where_it_is(name: str, mirror: bool) -> None:
    config = NetworkConfig(**NETWORKS[name], mirror=mirror)
    first, step = map_grid(config)
    cells = round(64 / step)
    across = (63 - (cells - 1) * step) / 2 if mirror else first
    down = first + np.arange(cells) * step
    right = across + np.arange(cells) * step
    maps = (down[:, None] + 100 * right[None, :])[None, None].astype(np.float32)

    (regular,) = regular_maps(maps, config)[0]

    centres = np.arange(8) * 8 + 3.5
    expected = np.clip(centres, down[0], down[-1])[:, None] + 100 * np.clip(
        centres, right[0], right[-1]
    )
    assert np.abs(regular - expected).max() < 0.01


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_with_maps_that_the_page_draws(
    name: str, astronaut: np.ndarray
) -> None:
    torch.manual_seed(0)
    analyzer = Analyzer(
        EmotionNet(NetworkConfig(**NETWORKS[name])), Analyzer.from_weights().detector
    )

    (face,) = analyzer.analyze(astronaut)

    assert face.cams.shape == (6, 8, 8)
    assert len(heat_bytes(face, face.index)["cells"]) == 64
    assert heat(face, face.index).shape == (64, 64)


def test_even_maps_stay_bitwise_what_they_are() -> None:
    maps = np.random.default_rng(0).random((2, 6, 8, 8), np.float32)

    np.testing.assert_array_equal(regular_maps(maps, NetworkConfig(backbone="cnn")), maps)
