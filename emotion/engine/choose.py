"""Which engine runs: OpenVINO where it is installed, torch otherwise."""

from __future__ import annotations

import logging
import os

from emotion.engine.base import Engine
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.engine.torch_engine import TorchEngine
from emotion.errors import ConfigError

VARIABLE = "EMOTION_ENGINE"
"""Environment variable: ``auto`` (the default), ``openvino`` or ``torch``."""

_log = logging.getLogger(__name__)


def choose() -> Engine:
    """Return the engine that the environment variable ``EMOTION_ENGINE`` asks for.

    Where ``auto`` has to do without OpenVINO, one line of the log says why.

    Raises:
        ConfigError: if the variable has another value, or OpenVINO is asked for and not there.
    """
    name = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if name == "torch":
        return TorchEngine()
    if name not in ("auto", "openvino"):
        raise ConfigError(f"{VARIABLE} must be auto, openvino or torch, not {name!r}.")
    try:
        return OpenVINOEngine()
    except ImportError as error:
        reason = f"OpenVINO cannot be imported ({error})"
    except RuntimeError as error:
        reason = f"OpenVINO does not run on this machine ({str(error).splitlines()[0]})"
    if name == "openvino":
        raise ConfigError(f"{reason}; install it (pip install openvino), or set {VARIABLE}=torch.")
    _log.warning("%s, so torch runs the networks, at about half the speed.", reason)
    return TorchEngine()
