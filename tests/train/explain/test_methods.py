"""Our maps against grad-cam, a published implementation of all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from emotion.config import NetworkConfig
from emotion.network import EmotionNet
from train.explain.methods import all_maps, eigen_cam, stages

PUBLISHED = {
    "Grad-CAM": GradCAM,
    "Grad-CAM++": GradCAMPlusPlus,
    "LayerCAM": LayerCAM,
    "HiResCAM": HiResCAM,
    "Eigen-CAM": EigenCAM,
}
TARGETS = torch.tensor([0, 3, 5])


@pytest.fixture(scope="module")
def network() -> EmotionNet:
    torch.manual_seed(3)
    network = EmotionNet(NetworkConfig(backbone="cnn", widths=(8, 16, 32, 32))).eval()
    # Fresh norm layers make every feature alike; realistic statistics give the maps structure.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    network.fc.weight.data *= 1000  # the published Grad-CAM++ adds an epsilon to squared gradients
    return network


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def maps(network, inputs):
    return all_maps(network, inputs, TARGETS)


def raw(kind: type, network: EmotionNet, layer: str, inputs: torch.Tensor) -> np.ndarray:
    """The published map before it is scaled and enlarged, after its ReLU."""
    with kind(network, target_layers=[getattr(network, layer)]) as published:
        published(inputs.clone(), [ClassifierOutputTarget(int(target)) for target in TARGETS])
        activations = published.activations_and_grads.activations[0].numpy()
        gradients = published.activations_and_grads.gradients
        found = published.get_cam_image(
            inputs,
            getattr(network, layer),
            [ClassifierOutputTarget(int(target)) for target in TARGETS],
            activations,
            gradients[0].numpy() if gradients else np.zeros_like(activations),
            False,
        )
    return np.maximum(found, 0)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("method", [name for name in PUBLISHED if name != "Eigen-CAM"])
def test_a_method_equals_its_published_implementation(network, inputs, maps, method, stage):
    layer = {1: "block4", 2: "block3"}[stage]
    expected = raw(PUBLISHED[method], network, layer, inputs)
    ours = maps[method, stage][0].numpy()
    assert ours.shape[1:] == expected.shape[1:]
    assert ours.max() > 0
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize("stage", [1, 2])
def test_eigen_cam_is_the_published_component_up_to_its_sign(network, inputs, stage):
    layer = {1: "block4", 2: "block3"}[stage]
    with EigenCAM(network, target_layers=[getattr(network, layer)]) as published:
        published(inputs.clone(), [ClassifierOutputTarget(0)] * 3)
        activations = published.activations_and_grads.activations[0].numpy()
        component = published.get_cam_image(inputs, None, None, activations, None, False)
    ours = eigen_cam(stages(network, inputs, TARGETS)[stage - 1]).numpy()
    for one, theirs in zip(ours, component, strict=True):
        fits = [np.allclose(one, np.maximum(sign * theirs, 0), atol=1e-3) for sign in (1, -1)]
        assert any(fits)


def test_at_the_last_stage_three_methods_give_the_closed_form(maps):
    closed = maps["CAM", 1][0]
    for method in ("Grad-CAM", "HiResCAM"):
        scaled = maps[method, 1][0] * closed.amax((1, 2), keepdim=True)
        torch.testing.assert_close(
            scaled, closed * maps[method, 1][0].amax((1, 2), keepdim=True), rtol=1e-3, atol=1e-4
        )
    assert ("CAM", 2) not in maps


def test_the_second_map_is_that_of_the_mirror_image_mirrored_back(network, inputs, maps):
    of_mirrored = all_maps(network, inputs.flip(-1), TARGETS)
    for key, (straight, mirrored) in maps.items():
        torch.testing.assert_close(of_mirrored[key][0].flip(-1), mirrored)
        torch.testing.assert_close(of_mirrored[key][1].flip(-1), straight)
