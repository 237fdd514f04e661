"""What the trainer does with a network beside training it: classify prepared faces, and save it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from emotion.files import write_bytes, write_text
from emotion.network import EmotionNet, Outputs, normalise

_BATCH = 128


def predict_logits(network: EmotionNet, faces: Tensor, size: int) -> Tensor:
    """Classify prepared faces: the logits of ``predict``."""
    return predict(network, faces, size).logits


def predict(network: EmotionNet, faces: Tensor, size: int) -> Outputs:
    """Classify prepared faces, see ``pooled_features``."""
    return network.read_out(pooled_features(network, faces, size))


def pooled_features(network: EmotionNet, faces: Tensor, size: int) -> Tensor:
    """Average the last feature maps over the crop, in float32.

    Args:
        network: in evaluation mode.
        faces: uint8 (N, 64, 64).
        size: side in px at which the network runs.

    Returns:
        float32 (N, K), on the CPU.
    """
    device = network.fc.weight.device
    parts = [torch.empty(0, network.fc.in_features, device=device)]
    with torch.no_grad():
        for batch in torch.split(faces, _BATCH) if len(faces) else ():
            inputs = normalise(resize(batch.to(device), size), network.config)
            features = network.evidence(inputs.contiguous(memory_format=torch.channels_last))
            parts.append(features.mean((2, 3)).float())
    return torch.cat(parts).cpu()


def save_network(network: EmotionNet, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` so that no reader sees half of them.

    Raises:
        DataError: if they cannot be written; the old ones stay.
    """
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    write_text(folder / "config.json", json.dumps(asdict(network.config), indent=2) + "\n")


def resize(faces: Tensor, size: int) -> Tensor:
    """Resize crops (B, 64, 64), 0..255, to float32 (B, size, size), anti-aliased."""
    grey = faces.float()
    if grey.shape[-1] == size:
        return grey
    return F.interpolate(grey[:, None], size=(size, size), mode="bilinear", antialias=True)[:, 0]
