from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from emotion.errors import DataError
from emotion.network import EmotionNet, NetworkConfig
from train.calibrate import fit_temperature
from train.config import FitConfig
from train.losses import class_weights
from train.optim import WeightAverage, build_optimizer, learning_rate


def test_the_rate_warms_up_and_falls_along_a_cosine(tiny: Callable[..., FitConfig]) -> None:
    config = tiny(lr=0.2, warmup_epochs=1.0, epochs=(3,))
    rates = [learning_rate(*divmod(step, 10), 10, config) for step in range(30)]

    assert rates[0] == pytest.approx(0.02)
    assert rates[9] == pytest.approx(0.2)
    assert rates[20] == pytest.approx(0.1)  # half of the cosine
    assert rates[29] == pytest.approx(0.1 * (1 + math.cos(math.pi * 19 / 20)))
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


def test_the_last_stage_has_a_cosine_of_its_own(tiny: Callable[..., FitConfig]) -> None:
    config = tiny(lr=0.2, last_stage_lr=0.1, warmup_epochs=1.0, sizes=(32, 64), epochs=(3, 2))
    rates = [learning_rate(*divmod(step, 10), 10, config) for step in range(50)]

    assert rates[29] == pytest.approx(0.1 * (1 + math.cos(math.pi * 19 / 40)))
    assert rates[30] == pytest.approx(0.1)
    assert rates[40] == pytest.approx(0.05)
    assert rates[49] == pytest.approx(0.05 * (1 + math.cos(math.pi * 19 / 20)))


def test_norm_layers_and_biases_do_not_decay(tiny: Callable[..., FitConfig]) -> None:
    network = EmotionNet(NetworkConfig(widths=(8, 8, 8, 8)))
    optimizer = build_optimizer(network, tiny(weight_decay=0.5).optimizer)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}

    values = {name: decay[id(p)] for name, p in network.named_parameters()}

    assert len(decay) == len(list(network.parameters()))
    for name, value in values.items():
        plain = "bn" in name or name.endswith("bias") or "downsample.1" in name
        assert value == (0.0 if plain else 0.5), name


def test_the_average_follows_the_recursion_and_the_warm_up() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(0.0)
    average = WeightAverage(layer, decay=0.5)
    expected = 0.0
    for update, value in enumerate([1.0, 2.0, 3.0, 4.0] * 4, 1):
        layer.weight.data.fill_(value)
        average.update(layer)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value

    weight = next(average.network.parameters())
    assert weight.item() == pytest.approx(expected, rel=1e-6)
    assert not weight.requires_grad


def test_square_root_weights_are_n_to_the_minus_half_with_mean_one() -> None:
    counts = np.array([7215, 3171, 4830, 3995, 436, 4097])

    weights = class_weights(counts, "sqrt")

    np.testing.assert_allclose(weights, [0.57, 0.86, 0.70, 0.77, 2.33, 0.76], atol=0.005)
    assert weights.mean().item() == pytest.approx(1)
    assert class_weights(counts, "none").tolist() == [1] * 6


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(DataError, match="disgust"):
        class_weights(np.array([1, 2, 3, 4, 0, 6]), "none")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 6, generator=generator) * 3
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]

    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)
