"""From a SPEC to a verified network: embedded, a folder, or a model repository on the Hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file

from emotion.errors import ConfigError, WeightsError
from emotion.network import EmotionNet, NetworkConfig, check_serving

EMBEDDED = Path(__file__).parent / "assets" / "model"

_CONFIG = "config.json"
_TENSORS = "model.safetensors"
_HUB_SPEC = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def load_weights(spec: str = "embedded") -> EmotionNet:
    """Load and verify a network.

    Args:
        spec: ``embedded``, a folder with ``config.json`` and ``model.safetensors``, or
            ``hf://USER/NAME@REVISION`` (without ``@REVISION`` the repository's main branch).

    Returns:
        The network in evaluation mode, float32.

    Raises:
        WeightsError: if files are missing or damaged, or the model has other labels, another
            landmark template, or other tensors than its config says.
    """
    folder = _locate(spec)
    config = _read_config(folder, spec)
    mismatch = check_serving(config)
    if mismatch:
        raise WeightsError(f"The weights {spec} cannot be used: {mismatch}.")
    network = EmotionNet(config)
    try:
        tensors = load_file(folder / _TENSORS)
    except FileNotFoundError:
        raise WeightsError(f"The weights {spec} have no {_TENSORS}; {_REMEDY}") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"The file {_TENSORS} of the weights {spec} is damaged ({error}); {_REMEDY}"
        ) from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise WeightsError(f"The weights {spec} hold values that are not numbers; {_REMEDY}")
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:160]
        raise WeightsError(
            f"The tensors of the weights {spec} do not fit their config ({detail}); {_REMEDY}"
        ) from None
    return network.eval()


_REMEDY = "copy or download both files again, or use --weights embedded."


def _locate(spec: str) -> Path:
    if spec == "embedded":
        return EMBEDDED
    if spec.startswith("hf://"):
        return _download(spec)
    folder = Path(spec)
    if not folder.is_dir():
        raise WeightsError(
            f"The weights {spec} are not there; give 'embedded', a folder with {_CONFIG} and "
            f"{_TENSORS}, or hf://USER/NAME@REVISION."
        )
    return folder


def _download(spec: str) -> Path:
    match = _HUB_SPEC.fullmatch(spec)
    if not match:
        raise WeightsError(f"{spec} is not a Hub address; write hf://USER/NAME@REVISION.")
    repo, revision = match["repo"], match["revision"]
    try:
        config = hf_hub_download(repo, _CONFIG, revision=revision)
        hf_hub_download(repo, _TENSORS, revision=revision)
    except Exception as error:
        # The client raises its own errors, HTTP errors and OSErrors; one sentence covers them.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise WeightsError(
            f"The weights {spec} could not be fetched from the Hub ({reason}); check the name, the "
            "revision and the network, or use --weights embedded."
        ) from None
    return Path(config).parent


def _read_config(folder: Path, spec: str) -> NetworkConfig:
    try:
        values = json.loads((folder / _CONFIG).read_text("utf-8"))
        return NetworkConfig(**values)
    except FileNotFoundError:
        raise WeightsError(f"The weights {spec} have no {_CONFIG}; {_REMEDY}") from None
    except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise WeightsError(
            f"The file {_CONFIG} of the weights {spec} is not a config of this project ({error}); "
            f"{_REMEDY}"
        ) from None
