"""Why the network answers as it does: class activation maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotion.align import CROP_SIZE
from emotion.backbones import map_grid
from emotion.config import NetworkConfig
from emotion.network import EmotionNet

GRID = 8
"""Cells a side of the maps that are drawn, each of 8x8 pixels of the crop."""


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
    maps = torch.matmul(weight, features.flatten(2)) / (height * width)
    return maps.relu().reshape(-1, weight.shape[0], height, width)


def regular_maps(maps: npt.NDArray[np.float32], config: NetworkConfig) -> npt.NDArray[np.float32]:
    """Bring maps of any network to the grid that everything draws: 8x8 cells that tile the crop.

    The cells of a strided network need not lie evenly: those of ResNet-18 are centred on every
    eighth pixel from the first one on, 3.5 px above and to the left of where eight even cells are.

    Args:
        maps: (B, C, h, w) of 64x64 crops, see ``class_activation_maps``.
        config: of the network, see ``emotion.backbones.map_grid``.

    Returns:
        (B, C, 8, 8), read off bilinearly at the centres of the cells; beyond the outermost centres
        of the network's own cells their values continue.
    """
    rows, columns = grid_taps(maps.shape[2], maps.shape[3], config)
    return np.asarray(np.einsum("ih,bchw,jw->bcij", rows, maps, columns), np.float32)


def grid_taps(
    height: int, width: int, config: NetworkConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return by what the cells of ``regular_maps`` are mixed: rows (8, h) and columns (8, w)."""
    first, step = map_grid(config)
    # Features of the crop and of its mirror image are averaged, so across it they lie evenly.
    left = (CROP_SIZE - 1 - (width - 1) * step) / 2 if config.mirror else first
    return _taps(height, first, step), _taps(width, left, step)


def _taps(cells: int, first: float, step: float) -> npt.NDArray[np.float32]:
    """Return (8, cells): by what each even cell's value is mixed of the network's own."""
    wanted = (np.arange(GRID) + 0.5) * CROP_SIZE / GRID - 0.5
    place = np.clip((wanted - first) / step, 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells))), np.float32)


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
