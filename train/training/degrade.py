"""What cheap cameras and old archives do to a face: blur, sensor noise, JPEG."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

BLURS = (0.3, 2.5)  # standard deviation in px of the crop
MAX_NOISE = 8.0  # standard deviation in grey levels
QUALITIES = (15.0, 90.0)  # of JPEG

_BLOCK = 8
_RADIUS = 6  # of the blur's kernel, in px

# Luminance steps of JPEG at quality 50 (ITU-T T.81, table K.1).
_STEPS = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)


def degrade(grey: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Blur some crops, add noise to them and compress them, each by its own random amount.

    Args:
        grey: float32 (B, size, size), 0..255.
        probability: that a crop is degraded, 0..1.
        generator: source of every random number, on the crops' device.

    Returns:
        float32 (B, size, size), 0..255.
    """
    device = grey.device
    chosen = torch.rand(len(grey), generator=generator, device=device) < probability
    sigma, noise, quality = torch.rand(3, len(grey), generator=generator, device=device)
    sigma = sigma * (BLURS[1] - BLURS[0]) + BLURS[0]
    quality = quality * (QUALITIES[1] - QUALITIES[0]) + QUALITIES[0]
    grain = torch.randn(grey.shape, generator=generator, device=device) * MAX_NOISE
    worse = blur(grey, sigma) + grain * noise[:, None, None]
    worse = jpeg(worse.clamp(0, 255), quality)
    return torch.where(chosen[:, None, None], worse, grey)


def blur(grey: Tensor, sigma: Tensor) -> Tensor:
    """Blur crops (B, H, W) by Gaussians of their own standard deviations (B,) in px."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, device=grey.device)
    kernel = (-0.5 * (offsets / sigma[:, None]) ** 2).exp()
    kernel = kernel / kernel.sum(1, keepdim=True)
    padded = F.pad(grey[None], [_RADIUS] * 4, mode="reflect")
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=len(grey))
    return F.conv2d(rows, kernel[:, None, None, :], groups=len(grey))[0]


def jpeg(grey: Tensor, quality: Tensor) -> Tensor:
    """Do to grey crops what compression by baseline JPEG and decompression do.

    The steps for a quality are libjpeg's.

    Args:
        grey: float32 (B, H, W), 0..255.
        quality: float (B,), 1..100.
    """
    height, width = grey.shape[1:]
    padding = [0, -width % _BLOCK, 0, -height % _BLOCK]
    padded = F.pad(grey[:, None].round() - 128, padding, mode="replicate")
    down, across = padded.shape[2] // _BLOCK, padded.shape[3] // _BLOCK
    blocks = padded.view(-1, down, _BLOCK, across, _BLOCK).transpose(2, 3)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    basic, cosines = _tables(grey.device)
    steps = (basic * scale[:, None, None] + 0.5).floor().clamp(1, 255)[:, None, None]
    coefficients = ((cosines @ blocks @ cosines.T) / steps).round() * steps
    restored = (cosines.T @ coefficients @ cosines).transpose(2, 3).reshape(padded.shape)
    cropped: Tensor = restored[:, 0, :height, :width]
    return (cropped.round() + 128).clamp(0, 255)


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return JPEG's steps and its transform, copied to a device once."""
    return _STEPS.to(device), _cosines().to(device)


def _cosines() -> Tensor:
    """Return the orthonormal discrete cosine transform of eight values, (8, 8)."""
    k = torch.arange(_BLOCK)[:, None]
    matrix = (math.pi / _BLOCK * (torch.arange(_BLOCK) + 0.5) * k).cos() * math.sqrt(2 / _BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix
