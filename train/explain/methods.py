"""Class activation maps of one network: six methods, at its last two stages.

All of them start from a stage's feature maps A and the gradient G of one logit with respect to
them, so one pass forward and one backward gives them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from emotion.network import EmotionNet

STAGES = 2
"""How many stages are looked at, counted from the last."""


@dataclass(frozen=True)
class Stage:
    """What a stage of the network did with B crops.

    Attributes:
        features: (B, K, h, w), its output A.
        gradients: (B, K, h, w), of each crop's logit with respect to it.
        weight: (B, K), of the linear layer for each crop's class; None but for the last stage.
    """

    features: Tensor
    gradients: Tensor
    weight: Tensor | None


def stages(network: EmotionNet, inputs: Tensor, targets: Tensor) -> list[Stage]:
    """Run a network forward and backward.

    Args:
        network: in evaluation mode; left as it was.
        inputs: normalised crops (B, 3, 64, 64), taken as they are, whatever ``mirror`` says.
        targets: int64 (B,), the class whose logit is explained.

    Returns:
        The last two stages, the last one first.
    """
    modules = [module for name, module in network.named_children() if name[-1].isdigit()]
    chosen = modules[: -STAGES - 1 : -1]
    captured: dict[int, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _module, _in, out, at=at: captured.update({at: out}))
        for at, module in enumerate(chosen)
    ]
    try:
        with torch.enable_grad():
            logits = network(inputs.detach().requires_grad_())
            outputs = [captured[at] for at in range(len(chosen))]
            score = logits[torch.arange(len(targets)), targets].sum()
            gradients = torch.autograd.grad(score, outputs)
    finally:
        for handle in handles:
            handle.remove()
    weights = [network.head.weight.detach()[targets], *[None] * (STAGES - 1)]
    return [
        Stage(output.detach(), gradient, weight)
        for output, gradient, weight in zip(outputs, gradients, weights, strict=True)
    ]


def cam(stage: Stage) -> Tensor:
    """The class activation map in closed form (Zhou et al., CVPR 2016), of the last stage."""
    assert stage.weight is not None
    return torch.einsum("bkhw,bk->bhw", stage.features, stage.weight).relu()


def grad_cam(stage: Stage) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017, eqs. 1-2)."""
    weights = stage.gradients.mean((2, 3), keepdim=True)
    return (weights * stage.features).sum(1).relu()


def grad_cam_plus_plus(stage: Stage) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018, eqs. 5, 10 and 19)."""
    positive = stage.gradients.relu()
    total = stage.features.sum((2, 3), keepdim=True)
    # Eq. 19 divided by the squared gradient, so that small ones need no epsilon.
    alpha = 1 / (2 + total * positive).clamp_min(1e-6)
    weights = (alpha * positive).sum((2, 3), keepdim=True)
    return (weights * stage.features).sum(1).relu()


def layer_cam(stage: Stage) -> Tensor:
    """LayerCAM (Jiang et al., IEEE TIP 2021, eqs. 5-7)."""
    return (stage.gradients.relu() * stage.features).sum(1).relu()


def hires_cam(stage: Stage) -> Tensor:
    """HiResCAM (Draelos & Carin, 2020, eq. 4), with Grad-CAM's ReLU."""
    return (stage.gradients * stage.features).sum(1).relu()


def eigen_cam(stage: Stage) -> Tensor:
    """Eigen-CAM (Muhammad & Yeasin, IJCNN 2020): the first principal component, of no class.

    Its sign, which the decomposition leaves open, is that of the features' sum over channels.
    """
    batch, channels, height, width = stage.features.shape
    rows = stage.features.reshape(batch, channels, height * width).transpose(1, 2)
    centred = rows - rows.mean(1, keepdim=True)
    first = torch.linalg.svd(centred, full_matrices=False).Vh[:, :1]
    maps = (centred * first).sum(2)
    agreement = (maps * centred.sum(2)).sum(1, keepdim=True)
    maps = torch.where(agreement < 0, -maps, maps)
    return maps.reshape(-1, height, width).relu()


METHODS: dict[str, Callable[[Stage], Tensor]] = {
    "CAM": cam,
    "Grad-CAM": grad_cam,
    "Grad-CAM++": grad_cam_plus_plus,
    "LayerCAM": layer_cam,
    "HiResCAM": hires_cam,
    "Eigen-CAM": eigen_cam,
}
"""From a stage to maps (B, h, w), non-negative."""


def all_maps(
    network: EmotionNet, inputs: Tensor, targets: Tensor
) -> dict[tuple[str, int], tuple[Tensor, Tensor]]:
    """Compute every method's maps.

    Returns:
        (method, stage from the last one, 1 or 2) -> maps of the crops (B, h, w), and those of their
        mirror images, mirrored back. CAM has the last stage only.
    """
    straight = stages(network, inputs, targets)
    mirrored = stages(network, inputs.flip(-1), targets)
    return {
        (name, number): (method(one), method(other).flip(-1))
        for name, method in METHODS.items()
        for number, (one, other) in enumerate(zip(straight, mirrored, strict=True), 1)
        if name != "CAM" or number == 1
    }
