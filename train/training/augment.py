"""Augmentation of grey crops, on the whole batch at once.

torchvision's transforms draw one set of parameters for a batch; here every crop gets its own. All
random numbers are drawn on the crops' device, so that nothing is copied and nobody waits; a GPU's
are others than a CPU's.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.config.options import AugmentConfig
from train.faces.store import FaceStore
from train.scoring.inference import resize
from train.training.degrade import degrade
from train.training.device import send

ERASED_AREA = (0.02, 0.2)  # of the crop


def augment(faces: Tensor, size: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Flip, move, light, degrade and erase crops, each with its own random parameters.

    Args:
        faces: uint8 (B, 64, 64).
        size: side of the result in px.
        config: how much.
        generator: source of every random number, on the crops' device.

    Returns:
        float32 (B, size, size), 0..255.
    """
    grey = resize(_move(faces.float(), config, generator), size)
    grey = _light(grey, config, generator)
    if config.degrade:
        grey = degrade(grey, config.degrade, generator)
    return erase(grey, config.erase, (0, 255), generator)


def mix(
    crops: Tensor,
    faces: FaceStore,
    config: AugmentConfig,
    generator: torch.Generator,
    decide: torch.Generator,
) -> tuple[Tensor, FaceStore]:
    """Mix each crop, and what is learnt of it, with another one of the batch.

    Mixup blends the pixels (Zhang et al., ICLR 2018), CutMix pastes a rectangle (Yun et al., ICCV
    2019); where both are on, each batch gets one of them at random. The share that a crop keeps is
    drawn from Beta(alpha, alpha). Where faces know their corpus, both are of the same one, since
    each corpus labels in its own way.

    Args:
        crops: float32 (B, size, size).
        faces: the B faces that these are crops of.
        config: the alpha of each, 0 for off.
        generator: source of partners and places, on the crops' device.
        decide: source of the kind and of the shares, on the CPU; may be the same.

    Returns:
        Crops as they came in, and faces whose class probabilities and shares of calm are mixed.
    """
    alphas = [config.mixup, config.cutmix]
    if not any(alphas):
        return crops, faces
    both = all(alphas)
    chosen = int(torch.randint(2, (), generator=decide)) if both else alphas.index(max(alphas))
    random = np.random.default_rng(int(torch.randint(2**62, (), generator=decide)))
    count, size = len(crops), crops.shape[-1]
    kept = torch.from_numpy(random.beta(alphas[chosen], alphas[chosen], count)).float()
    kept = send(kept, crops.device)
    partner = _partners(faces, generator)
    if chosen == 0:
        share = kept[:, None, None].expand(-1, size, size)
    else:
        side = (size * (1 - kept).sqrt())[:, None]
        share = 1 - _rectangles(size, side, side, generator).float()
    kept, targets, calm = share.mean((1, 2)), faces.targets, faces.calm
    soft = kept[:, None] * targets + (1 - kept[:, None]) * targets[partner]
    if calm is not None:
        calm = kept * calm + (1 - kept) * calm[partner]
    mixed = share * crops + (1 - share) * crops[partner]
    return mixed, replace(faces, soft=soft, calm=calm)


def _partners(faces: FaceStore, generator: torch.Generator) -> Tensor:
    """Draw a permutation of the faces that leaves each corpus to itself, int64 (B,)."""
    count, device = len(faces), generator.device
    if faces.corpus is None:
        return torch.randperm(count, generator=generator, device=device)
    # Two orders, each by corpus and at random within it: the n-th of one meets that of the other.
    first, second = (
        (faces.corpus + _uniform(count, 0, 0.5, generator)).argsort() for _ in range(2)
    )
    return torch.empty_like(first).scatter(0, first, second)


def erase(
    grey: Tensor, probability: float, levels: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Replace one rectangle per chosen crop by uniform noise (Zhong et al., AAAI 2020).

    Args:
        grey: float32 (B, size, size).
        probability: that a crop is chosen, 0..1.
        levels: black and white.
        generator: source of every random number, on the crops' device.
    """
    count, size = len(grey), grey.shape[-1]
    chosen = _uniform(count, 0, 1, generator) < probability
    area = _uniform(count, *ERASED_AREA, generator) * size * size
    ratio = _uniform(count, math.log(0.4), math.log(2.5), generator).exp()
    height = (area * ratio).sqrt().clamp(1, size)[:, None]
    width = (area / ratio).sqrt().clamp(1, size)[:, None]
    inside = _rectangles(size, height, width, generator) & chosen[:, None, None]
    low, high = levels
    return torch.where(inside, _uniform(grey.shape, low, high, generator), grey)


def _rectangles(size: int, height: Tensor, width: Tensor, generator: torch.Generator) -> Tensor:
    """Place rectangles with sides (B, 1) at random inside the crop; bool (B, size, size)."""
    top = _uniform(height.shape, 0, 1, generator) * (size - height)
    left = _uniform(width.shape, 0, 1, generator) * (size - width)
    line = torch.arange(size, device=height.device) + 0.5
    rows = (line >= top) & (line < top + height)
    columns = (line >= left) & (line < left + width)
    return rows[:, :, None] & columns[:, None, :]


def _uniform(
    shape: int | torch.Size, low: float, high: float, generator: torch.Generator
) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def _factors(count: int, most: float, generator: torch.Generator) -> Tensor:
    """Draw factors 1/most..most; enlarging and reducing by the same one are equally likely."""
    return _uniform(count, -math.log(most), math.log(most), generator).exp()


def _move(grey: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Mirror some of the crops; rotate, scale and shift all of them in one resampling."""
    count = len(grey)
    angle = _uniform(count, -config.rotation, config.rotation, generator) * (math.pi / 180)
    scale = _factors(count, config.scale, generator)
    mirror = torch.where(_uniform(count, 0, 1, generator) < config.flip, -1.0, 1.0)
    # The grid spans -1..1: a shift by 2 is one by the side of the crop.
    shift = _uniform(2 * count, -2 * config.shift, 2 * config.shift, generator).view(count, 2)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
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


def _light(grey: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Change contrast about each crop's mean, and brightness."""
    count = len(grey)
    contrast = _factors(count, config.contrast, generator)
    offset = _uniform(count, -config.brightness, config.brightness, generator)
    contrast, offset = contrast.view(-1, 1, 1), offset.view(-1, 1, 1)
    mean = grey.mean((1, 2), keepdim=True)
    return ((grey - mean) * contrast + mean + offset).clamp(0, 255)
