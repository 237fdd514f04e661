from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, ReduceLROnPlateau

from emotion.config import NetworkConfig
from emotion.network import EmotionNet
from train.config.fit import FitConfig
from train.training.checkpoint import pack_optimizer, unpack_optimizer
from train.training.optim import WeightAverage, build_optimizer, learning_rate


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


@pytest.mark.parametrize(("first", "factor"), [(1, 2), (3, 1), (2, 3)])
def test_warm_restarts_are_torchs(first: int, factor: int, tiny: Callable[..., FitConfig]) -> None:
    config = tiny(
        schedule="warm_restarts",
        warmup_epochs=0.0,
        restart_epochs=first,
        restart_factor=factor,
        epochs=(9,),
        lr=0.3,
    )
    layer = torch.nn.Linear(1, 1)
    reference = torch.optim.SGD(layer.parameters(), lr=0.3)
    scheduler = CosineAnnealingWarmRestarts(reference, T_0=first, T_mult=factor)

    for step in range(90):
        scheduler.step(step / 10)
        ours = learning_rate(*divmod(step, 10), 10, config)
        assert ours == pytest.approx(reference.param_groups[0]["lr"], abs=1e-9), step


def test_the_plateau_schedule_is_torchs(tiny: Callable[..., FitConfig]) -> None:
    config = tiny(
        schedule="plateau", plateau_patience=2, plateau_factor=0.5, warmup_epochs=0.0, lr=0.3
    )
    scores = [0.1, 0.2, 0.2, 0.2, 0.2, 0.1, 0.3, 0.29, 0.28, 0.27, 0.26, 0.25, 0.24, 0.31, 0.3]
    layer = torch.nn.Linear(1, 1)
    reference = torch.optim.SGD(layer.parameters(), lr=0.3)
    scheduler = ReduceLROnPlateau(reference, "max", factor=0.5, patience=2, threshold=0)

    rates = set()
    for epoch in range(len(scores)):
        scheduler.step(scores[epoch])
        ours = learning_rate(epoch + 1, 3, 10, config, scores[: epoch + 1])
        rates.add(ours)
        assert ours == pytest.approx(reference.param_groups[0]["lr"])
    assert len(rates) == 4


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.3)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3)),
        (
            "sgd",
            lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.3, momentum=0.8, nesterov=True),
        ),
    ],
)
def test_each_optimizer_is_torchs_and_survives_packing(
    name: str,
    reference: Callable[..., torch.optim.Optimizer],
    tiny: Callable[..., FitConfig],
) -> None:
    config = tiny(optimizer=name, lr=0.1, weight_decay=0.3, momentum=0.8).optimizer

    def build() -> torch.nn.Linear:
        torch.manual_seed(0)
        return torch.nn.Linear(3, 2, bias=False)

    def steps(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        for value in (1.0, -2.0, 3.0):
            optimizer.zero_grad()
            (layer(torch.full((1, 3), value)) ** 2).sum().backward()
            optimizer.step()

    ours, theirs, resumed = build(), build(), build()
    optimizers = build_optimizer(ours, config), reference(theirs.parameters())
    for layer, optimizer in zip((ours, theirs), optimizers, strict=True):
        steps(layer, optimizer)
    torch.testing.assert_close(ours.weight, theirs.weight)

    resumed.load_state_dict(ours.state_dict())
    second = build_optimizer(resumed, config)
    unpack_optimizer(second, pack_optimizer(optimizers[0]))
    steps(ours, optimizers[0])
    steps(resumed, second)
    assert torch.equal(resumed.weight, ours.weight)


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
