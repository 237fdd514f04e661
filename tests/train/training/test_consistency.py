from __future__ import annotations

import pytest
import torch

from emotion.config import NetworkConfig
from emotion.network import EmotionNet
from train.training import consistency
from train.training.consistency import AttentionConsistency
from train.training.step import Step


def build() -> EmotionNet:
    """A network with pooling that treats left and right alike."""
    torch.manual_seed(0)
    return EmotionNet(NetworkConfig(backbone="cnn", widths=(4, 4, 8, 8))).eval()


def step(network: EmotionNet) -> Step:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, 1, 32, 32, generator=generator).expand(-1, 3, -1, -1)
    features = network.features(inputs)
    return Step(torch.arange(4), inputs, features, network.classify(features), generator)


def test_it_is_zero_for_a_network_that_commutes_with_mirroring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = build()
    plain = AttentionConsistency(network, 5.0)
    monkeypatch.setattr(consistency, "ERASED_PROBABILITY", 0.0)
    assert plain(step(network)) > 1e-3

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = (module.weight.data + module.weight.data.flip(-1)) / 2

    assert plain(step(network)) < 1e-10
    monkeypatch.setattr(consistency, "ERASED_PROBABILITY", 1.0)
    assert plain(step(network)) > 1e-6  # what the erased rectangle changes is left


def test_it_is_the_mean_square_of_all_classes_maps_times_its_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = build()
    monkeypatch.setattr(consistency, "ERASED_PROBABILITY", 0.0)
    taken = step(network)

    loss = AttentionConsistency(network, 5.0)(taken)

    mirrored = network.features(taken.inputs.flip(-1)).flip(-1)
    difference = taken.features - mirrored
    maps = (difference[:, None] * network.fc.weight[None, :, :, None, None]).sum(2)
    torch.testing.assert_close(loss, 5 * maps.square().mean())


def test_it_teaches_the_body_and_leaves_the_linear_layer() -> None:
    network = build()

    AttentionConsistency(network, 5.0)(step(network)).backward()

    assert network.fc.weight.grad is None
    gradients = [p.grad for name, p in network.named_parameters() if name.endswith("0.weight")]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
