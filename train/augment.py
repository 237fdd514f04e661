"""Augmentation of grey crops, on the whole batch at once."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from train.config import AugmentConfig

MAX_ROTATION = 12.0  # degrees
MAX_SHIFT = 0.07  # of the side
SCALES = (0.88, 1.14)
CONTRASTS = (0.65, 1.4)
MAX_OFFSET = 30.0  # grey levels
ERASED_AREA = (0.02, 0.2)  # of the crop


def resize(faces: Tensor, size: int) -> Tensor:
    """Resize crops (B, 64, 64), 0..255, to float32 (B, size, size), anti-aliased."""
    grey = faces.float()
    if grey.shape[-1] == size:
        return grey
    return F.interpolate(grey[:, None], size=(size, size), mode="bilinear", antialias=True)[:, 0]


def augment(faces: Tensor, size: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Flip, move, light and erase crops, each with its own random parameters.

    Args:
        faces: uint8 (B, 64, 64).
        size: side of the result in px.
        config: how much.
        generator: source of every random number.

    Returns:
        float32 (B, size, size), 0..255.
    """
    grey = resize(_move(faces.float(), generator), size)
    grey = _light(grey, generator)
    return _erase(grey, config.erase, generator)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _move(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the crops; rotate, scale and shift all of them in one resampling."""
    count = len(grey)
    angle = _uniform(count, -MAX_ROTATION, MAX_ROTATION, generator) * (math.pi / 180)
    # Log-uniform, so that enlarging and reducing by the same factor are equally likely.
    low, high = (math.log(scale) for scale in SCALES)
    inverse_scale = (-_uniform(count, low, high, generator)).exp()
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    shift = _uniform(2 * count, -2 * MAX_SHIFT, 2 * MAX_SHIFT, generator).view(count, 2)
    cosine, sine = angle.cos() * inverse_scale, angle.sin() * inverse_scale
    theta = torch.stack(
        [
            torch.stack([cosine * mirror, -sine * mirror, shift[:, 0]], 1),
            torch.stack([sine, cosine, shift[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, [count, 1, *grey.shape[1:]], align_corners=False)
    moved = F.grid_sample(
        grey[:, None], grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return moved[:, 0]


def _light(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Change contrast about each crop's mean, and brightness."""
    count = len(grey)
    contrast = _uniform(count, *CONTRASTS, generator).view(-1, 1, 1)
    offset = _uniform(count, -MAX_OFFSET, MAX_OFFSET, generator).view(-1, 1, 1)
    mean = grey.mean((1, 2), keepdim=True)
    return ((grey - mean) * contrast + mean + offset).clamp(0, 255)


def _erase(grey: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Replace one rectangle per chosen crop by uniform noise (Zhong et al., AAAI 2020)."""
    count, size = len(grey), grey.shape[-1]
    chosen = torch.rand(count, generator=generator) < probability
    area = _uniform(count, *ERASED_AREA, generator) * size * size
    ratio = _uniform(count, math.log(0.4), math.log(2.5), generator).exp()
    height = (area * ratio).sqrt().clamp(1, size)
    width = (area / ratio).sqrt().clamp(1, size)
    top = torch.rand(count, generator=generator) * (size - height)
    left = torch.rand(count, generator=generator) * (size - width)
    line = torch.arange(size)
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    inside = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    noise = torch.rand(grey.shape, generator=generator) * 255
    return torch.where(inside, noise, grey)
