"""What the trainer does with a network beside training it: classify prepared faces, and save it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from emotion.config import COMMON
from emotion.files import write_bytes, write_text
from emotion.network import EmotionNet, normalise


class Answers(NamedTuple):
    """What a network says about N faces, before calibration.

    Attributes:
        logits: float32 (N, 6), of the layer that answers.
        pooled: float32 (N, K), the features that are answered from, averaged over the map.
        calm: float32 (N,), of the second output; None where the network has none.
    """

    logits: Tensor
    pooled: Tensor
    calm: Tensor | None = None

    def select(self, rows: slice | Tensor) -> Answers:
        """Return the answers to some of the faces."""
        calm = None if self.calm is None else self.calm[rows]
        return Answers(self.logits[rows], self.pooled[rows], calm)


def predict_logits(network: EmotionNet, faces: Tensor, size: int) -> Tensor:
    """Classify prepared faces: the logits of ``predict``."""
    return predict(network, faces, size).logits


def read_out(network: EmotionNet, pooled: Tensor, convention: str | None = None) -> Answers:
    """Answer from pooled features (N, K), which every output of the network reads linearly.

    Args:
        network: in evaluation mode.
        pooled: as ``Answers`` has them, on the CPU.
        convention: whose layer answers; None leaves it to the config.
    """
    layers: dict[str, nn.Module] = {COMMON: network.fc, **network.heads}
    layer = layers[convention or network.config.convention]
    device = network.fc.weight.device
    with torch.inference_mode():
        logits = layer(pooled.to(device)).cpu()
        calm = None if network.calm is None else network.calm(pooled.to(device))[:, 0].cpu()
    return Answers(logits, pooled, calm)


def predict(network: EmotionNet, faces: Tensor, size: int, batch_size: int = 128) -> Answers:
    """Classify prepared faces, in float32.

    Args:
        network: in evaluation mode.
        faces: uint8 (N, 64, 64), N at least 1.
        size: side in px at which the network runs.
        batch_size: faces per forward pass.
    """
    device = next(network.parameters()).device
    pooled = []
    with torch.inference_mode():
        for batch in torch.split(faces, batch_size):
            inputs = normalise(resize(batch.to(device), size), network.config)
            features = network.evidence(inputs.contiguous(memory_format=torch.channels_last))
            pooled.append(features.mean((2, 3)).float())
    return read_out(network, torch.cat(pooled).cpu())


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
