"""What the trainer does with a network beside training it: classify prepared faces, and save it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emotion.network import EmotionNet, NetworkConfig, normalise
from train.augment import resize


def predict_logits(network: nn.Module, faces: Tensor, size: int, batch_size: int = 128) -> Tensor:
    """Classify prepared faces.

    Args:
        network: an ``EmotionNet`` in evaluation mode.
        faces: uint8 (N, 64, 64).
        size: side in px at which the network runs.
        batch_size: faces per forward pass.

    Returns:
        float32 (N, 6) logits, at temperature 1.
    """
    assert isinstance(network.config, NetworkConfig)
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode(), autocast(device):
        for batch in torch.split(faces, batch_size):
            inputs = normalise(resize(batch.to(device), size), network.config)
            logits = network(inputs.contiguous(memory_format=torch.channels_last))
            parts.append(logits.float().cpu())
    return torch.cat(parts)


def save_network(network: EmotionNet, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` so that no reader sees half of them."""
    partial = folder / ".partial-model"
    network.save_pretrained(partial)
    for name in ("config.json", "model.safetensors"):
        (partial / name).replace(folder / name)
    for leftover in partial.iterdir():
        leftover.unlink()
    partial.rmdir()


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where that is faster than float32."""
    if device.type == "cpu":
        # oneDNN reports bf16 only where it is faster than fp32.
        supported = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    else:
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=supported)
