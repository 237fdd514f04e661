from __future__ import annotations

import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from emotion.cam import class_activation_maps, grad_cam
from emotion.config import NetworkConfig
from emotion.network import EmotionNet


@pytest.fixture
def network() -> EmotionNet:
    torch.manual_seed(3)
    network = EmotionNet(NetworkConfig(widths=(16, 16, 32, 32), head_dropout=0.5)).eval()
    # Fresh norm layers make every feature alike; realistic statistics give the maps structure.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return network


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def closed_form(network: EmotionNet, inputs: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return class_activation_maps(network.features(inputs), network.fc.weight).clone()


@pytest.mark.parametrize("target", range(6))
def test_the_closed_form_equals_autograd_grad_cam(
    network: EmotionNet, inputs: torch.Tensor, target: int
) -> None:
    maps = closed_form(network, inputs)[:, target]

    torch.testing.assert_close(
        maps, grad_cam(network, inputs, target, network.layer4), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("target", range(6))
def test_the_closed_form_equals_a_published_implementation(
    network: EmotionNet, inputs: torch.Tensor, target: int
) -> None:
    maps = closed_form(network, inputs)[:, target]
    large = torch.nn.functional.interpolate(maps[:, None], size=(64, 64), mode="bilinear")[:, 0]

    with GradCAM(network, target_layers=[network.layer4[-1]]) as published:
        expected = torch.from_numpy(
            published(inputs.clone(), [ClassifierOutputTarget(target)] * len(inputs))
        )

    for ours, theirs in zip(large, expected, strict=True):
        if ours.max() > 0:
            assert torch.corrcoef(torch.stack([ours.ravel(), theirs.ravel()]))[0, 1] > 0.999


def test_before_the_relu_the_map_sums_to_the_logit_less_the_bias(
    network: EmotionNet, inputs: torch.Tensor
) -> None:
    with torch.inference_mode():
        features = network.features(inputs)
        positive = class_activation_maps(features, network.fc.weight)
        negative = class_activation_maps(features, -network.fc.weight)
        logits = network.classify(features)

    torch.testing.assert_close(
        (positive - negative).sum((2, 3)), logits - network.fc.bias, rtol=1e-4, atol=1e-4
    )


def test_nothing_that_speaks_for_a_class_gives_an_all_zero_map() -> None:
    maps = class_activation_maps(torch.rand(1, 4, 8, 8), -torch.ones(6, 4))

    assert maps.shape == (1, 6, 8, 8)
    assert (maps == 0).all()


def test_planted_evidence_is_where_the_map_lies(network: EmotionNet) -> None:
    features = torch.zeros(1, 32, 8, 8)
    features[0, 5, 1:3, 6:8] = 3.0
    weight = torch.zeros(6, 32)
    weight[4, 5] = 1.0

    maps = class_activation_maps(features, weight)[0]

    assert maps[4, 1:3, 6:8].sum() == maps.sum() > 0


def test_explaining_leaves_the_network_as_it_was(network: EmotionNet, inputs: torch.Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.random.get_rng_state()

    grad_cam(network, inputs, 2, network.layer3)

    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.layer3._forward_hooks
    assert not network.training
    assert torch.equal(random, torch.random.get_rng_state())


def test_earlier_layers_give_finer_maps(network: EmotionNet, inputs: torch.Tensor) -> None:
    assert grad_cam(network, inputs, 0, network.layer2).shape == (3, 32, 32)
