"""What a network sees in prepared faces."""

from __future__ import annotations

import torch
from torch import Tensor

from emotion.network import EmotionNet, normalise
from train.scoring.inference import resize

_BATCH = 128


def pooled_features(network: EmotionNet, faces: Tensor, size: int) -> Tensor:
    """Average the last feature maps over the crop, in float32.

    Args:
        network: in evaluation mode.
        faces: uint8 (N, 64, 64).
        size: side in px at which the network runs.

    Returns:
        float32 (N, D).
    """
    parts = [torch.empty(0, network.fc.in_features)]
    device = network.fc.weight.device
    with torch.no_grad():
        for batch in torch.split(faces, _BATCH) if len(faces) else ():
            inputs = normalise(resize(batch.to(device), size), network.config)
            maps = network.evidence(inputs.contiguous(memory_format=torch.channels_last))
            parts.append(maps.float().mean((2, 3)).cpu())
    return torch.cat(parts)


def per_class(labels: Tensor, count: int, seed: int) -> Tensor:
    """Choose up to ``count`` rows of every class at random: int64 rows in ascending order."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label)[:, 0]
        chosen.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return torch.cat(chosen).sort().values if chosen else torch.zeros(0, dtype=torch.int64)
