"""The reference engine and the fallback: the network itself."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotion.engine.base import Run


class TorchEngine:
    """Runs networks in torch, float32; every call uses all of torch's threads."""

    name = "torch"

    @property
    def lanes(self) -> int:
        """How many calls have threads of their own."""
        return max(1, (os.cpu_count() or 1) // torch.get_num_threads())

    def compile(
        self,
        network: nn.Module,
        example: Tensor,
        varying: tuple[int, ...],
        *,
        shared: bool = False,
    ) -> Run:
        """Return the network as it is; torch needs neither example nor shapes."""
        return _Called(network)


class _Called:
    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, inputs: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]:
        with torch.inference_mode():
            outputs: tuple[Tensor, ...] = self._network(torch.from_numpy(inputs))
        return tuple(output.numpy() for output in outputs)
