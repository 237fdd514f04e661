"""What a compiled network keeps between two calls."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.memory import give_back_free_pages, give_back_large_blocks

_STATUS = Path("/proc/self/status")


class Wide(nn.Module):
    """Layers whose outputs are 16 times as large as their input."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(size, 48, 3, padding=1) for size in (3, 48)))

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (self.layers(image.permute(0, 3, 1, 2).float()).mean((2, 3)),)


def resident_mb() -> float:
    give_back_free_pages()
    return int(re.findall(r"RssAnon:\s+(\d+)", _STATUS.read_text())[0]) / 1024


@pytest.mark.skipif(not _STATUS.exists(), reason="reads what Linux tells")
def test_what_a_large_photo_took_is_given_back() -> None:
    give_back_large_blocks()
    run = OpenVINOEngine().compile(
        Wide().eval(), torch.zeros(1, 64, 64, 3, dtype=torch.uint8), (1, 2)
    )
    frame = np.zeros((1, 240, 320, 3), np.uint8)
    (first,) = run(frame)
    before = resident_mb()
    run(np.zeros((1, 1200, 1200, 3), np.uint8))  # 280 MB for one layer's output
    assert resident_mb() - before < 150
    (again,) = run(frame)
    assert (again == first).all()
