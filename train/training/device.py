"""What a step needs to know of the device that it computes on, so that it never waits for it.

A GPU runs behind the process that tells it what to do. Whatever the process wants to know of it, or
copies to it from ordinary memory, makes both wait for each other.
"""

from __future__ import annotations

import logging
import os
import shutil
from typing import Literal

import torch
from torch import Tensor
from torch.utils._triton import has_triton

logger = logging.getLogger(__name__)


def send(values: Tensor, device: torch.device) -> Tensor:
    """Copy a few numbers from the CPU without waiting for the device."""
    if device.type == "cuda":
        values = values.pin_memory()  # a GPU reads such memory by itself
    return values.to(device, non_blocking=True)


def generators(device: torch.device, seed: int) -> tuple[torch.Generator, torch.Generator]:
    """Seed the random numbers of a step.

    Returns:
        A source on the device, for what tensors there hold, and one on the CPU, for what Python
        decides. On the CPU they are the same object.
    """
    random = torch.Generator(device).manual_seed(seed)
    return random, random if device.type == "cpu" else torch.Generator().manual_seed(seed)


def compiles(wanted: Literal["auto", "yes", "no"], device: torch.device) -> bool:
    """Tell whether the network is compiled.

    Args:
        wanted: ``auto`` compiles on a GPU, where all that it takes is there.
        device: where to train.
    """
    if wanted != "auto" or device.type == "cpu":
        return wanted == "yes"
    compilers = (os.environ.get("CC", "cc"), "gcc", "clang")
    if has_triton() and any(map(shutil.which, compilers)):
        return True
    logger.warning(
        "The network is not compiled, which would be faster on a GPU: that needs a C compiler, and "
        "Triton, which comes with torch on Linux."
    )
    return False
