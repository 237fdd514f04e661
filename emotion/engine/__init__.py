"""What runs the networks: torch, or OpenVINO where it is installed, behind one call."""

from __future__ import annotations

from emotion.engine.base import Engine, Run
from emotion.engine.choose import VARIABLE, choose
from emotion.engine.torch_engine import TorchEngine

__all__ = ["VARIABLE", "Engine", "Run", "TorchEngine", "choose"]
