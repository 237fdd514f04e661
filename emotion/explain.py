"""Why the network answers as it does: class activation maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emotion.network import EmotionNet


def class_activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Compute Grad-CAM of every class in closed form, without a backward pass.

    With global average pooling and one linear layer the gradient of logit c with respect to
    feature map k is ``weight[c, k] / (h w)`` everywhere, so Grad-CAM (Selvaraju et al., ICCV 2017,
    eqs. 1-2) at the last block is ``relu(sum_k weight[c, k] A_k) / (h w)``, the map of Zhou et al.
    (CVPR 2016). Before the ReLU its sum is the logit less the bias.

    Args:
        features: (B, K, h, w), the last feature maps A.
        weight: (C, K), of the linear layer.

    Returns:
        (B, C, h, w), non-negative; all zero where nothing speaks for the class.
    """
    height, width = features.shape[-2:]
    maps = torch.einsum("bkhw,ck->bchw", features, weight) / (height * width)
    return maps.relu()


def grad_cam(network: EmotionNet, inputs: Tensor, target: int, layer: nn.Module) -> Tensor:
    """Compute Grad-CAM at any layer by automatic differentiation.

    Args:
        network: left as it was; it should be in evaluation mode.
        inputs: normalised crops (B, 3, 64, 64).
        target: index of the class to explain.
        layer: module of ``network`` whose output is explained, say ``network.layer3``.

    Returns:
        (B, h, w) of that layer's size, non-negative.
    """
    captured: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: captured.append(output))
    try:
        with torch.enable_grad():
            logits = network(inputs.detach().requires_grad_())
            gradients = torch.autograd.grad(logits[:, target].sum(), captured[0])[0]
    finally:
        handle.remove()
    activations = captured[0].detach()
    return (gradients.mean((2, 3), keepdim=True) * activations).sum(1).relu()
