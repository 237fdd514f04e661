"""From a SPEC to a verified network: embedded, a folder, or a model repository on the Hub."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch
import yaml
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors

from emotion import graph_file, hub, plain_yaml
from emotion.config import NetworkConfig, check_serving
from emotion.errors import ConfigError, WeightsError
from emotion.files import is_folder, shortened
from emotion.network import EmotionNet, normalise

EMBEDDED = Path(__file__).parent / "assets" / "model"
"""What ``train evaluate --json`` wrote for the embedded weights, as a list."""
VARIABLE = "EMOTION_WEIGHTS"
"""Environment variable that holds the SPEC used where none is given."""

CONFIG = "config.json"
TENSORS = "model.safetensors"
INT8 = ("int8.json", "int8.xml", "int8.bin")
"""An 8-bit export that may lie beside them: what it was made from, structure, constants."""
# In bytes. The default network has 45 MB in float32; the rest is room for wider ones.
_LIMITS = {CONFIG: 1 << 20, TENSORS: 256 << 20}
_EXTRAS = dict(zip(INT8, (1 << 20, 8 << 20, 64 << 20), strict=True)) | {
    graph_file.NAME: graph_file.MAX_BYTES,
    graph_file.INT8: graph_file.MAX_INT8_BYTES,
}
_LONGEST_TEXT, _LONGEST_LIST = 200, 1 << 16
_ODD = "of another type or size than it should be"
_LARGEST = 1e9  # of a number in a config; of none was one above a few hundred
_REMEDY = "copy or download both files again, or use --weights embedded."


@dataclass(frozen=True)
class Loaded:
    """A verified network, and what exactly it is.

    Attributes:
        network: in evaluation mode, float32.
        spec: what was asked for.
        revision: commit of the Hub repository, 40 hexadecimal digits; None for other sources.
        digest: SHA-256 of the tensor file, hexadecimal.
        notice: a sentence for the user if something older than asked for, or the embedded network
            in its place, runs; or None.
        folder: where its files lie.
    """

    network: EmotionNet
    spec: str
    revision: str | None
    digest: str
    notice: str | None
    folder: Path


def default_spec(deployment: Path | None = None) -> str:
    """Return the SPEC that is used where none is given.

    It is the one of the environment variable ``EMOTION_WEIGHTS``, or the model of the deployment,
    or ``embedded``.

    Args:
        deployment: ``space.yaml``, which need not be there; None, as in a program that uses the
            package, reads none.

    Raises:
        WeightsError: if the deployment is there and names no model.
    """
    chosen = os.environ.get(VARIABLE, "").strip()
    if chosen or deployment is None:
        return chosen or "embedded"
    return _deployed_spec(deployment)


def _deployed_spec(deployment: Path) -> str:
    remedy = f"mend it, or choose the weights with --weights or {VARIABLE}."
    try:
        values = plain_yaml.read(deployment)
        model = (values.get("model") if isinstance(values, dict) else None) or "embedded"
    except FileNotFoundError:
        return "embedded"
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise WeightsError(f"The file {deployment.name} cannot be read as YAML; {remedy}") from None
    if model != "embedded" and not (isinstance(model, str) and hub.is_pinned(model)):
        raise WeightsError(
            f"The model in {deployment.name} is {shortened(repr(model))}, neither embedded nor "
            f"hf://USER/NAME@COMMIT with all 40 digits; {remedy}"
        )
    return str(model)


def load_or_fall_back(spec: str | None, deployment: Path | None = None) -> Loaded:
    """Load weights for a page, which runs the embedded ones where others cannot be had.

    Args:
        spec: see ``load``; None takes ``default_spec``.
        deployment: see ``default_spec``.

    Returns:
        The network; where it is another than asked for, ``notice`` says so and why, without naming
        folders of this machine, since visitors read it.

    Raises:
        WeightsError: if a folder that ``spec`` names cannot be used, or ``spec`` is no address of
            the Hub: who has just typed it can correct it.
    """
    chosen = spec
    try:
        chosen = default_spec(deployment) if spec is None else spec
        return load(chosen)
    except WeightsError as error:
        if spec is not None and not hub.is_address(spec):
            raise
        reason = for_visitors(error, chosen)
        return replace(load("embedded"), notice=f"{reason} The embedded weights run instead.")


def for_visitors(error: WeightsError, spec: str | None) -> str:
    """Return the sentence of an error about a SPEC without this machine's folders."""
    sentence = str(error)
    for place in (constants.HF_HUB_CACHE, spec or ""):
        if os.path.isabs(place):
            sentence = sentence.replace(place, Path(place).name)
    return sentence


def load_weights(spec: str = "embedded") -> EmotionNet:
    """Load and verify a network, see ``load``."""
    return load(spec).network


def load(spec: str, convention: str | None = None) -> Loaded:
    """Load and verify a network, and say what it is.

    Args:
        spec: ``embedded``, a folder with ``config.json`` and ``model.safetensors``, or
            ``hf://USER/NAME@REVISION`` (without ``@REVISION`` the repository's main branch), see
            ``emotion.hub.fetch``.
        convention: corpus whose way of labelling answers, see ``NetworkConfig.conventions``; None
            leaves it to the weights.

    Raises:
        WeightsError: if files are missing or damaged, or the model has other labels, another
            landmark template, or other tensors than its config says.
        ConfigError: if the weights do not know that convention.
    """
    folder, revision, notice = _locate(spec)
    config = _parse_config(_read(folder, CONFIG, spec), spec)
    mismatch = check_serving(config)
    if mismatch:
        raise WeightsError(f"The weights {spec} cannot be used: {mismatch}.")
    data = _read(folder, TENSORS, spec)
    network = _build(config, data, spec)
    if convention is not None:
        network.answer_as(convention)
    return Loaded(network, spec, revision, hashlib.sha256(data).hexdigest(), notice, folder)


def _locate(spec: str) -> tuple[Path, str | None, str | None]:
    if spec == "embedded":
        return EMBEDDED, None, None
    if spec.startswith(hub.PREFIX):
        snapshot = hub.fetch(spec, _LIMITS, _EXTRAS)
        return snapshot.folder, snapshot.commit, snapshot.notice
    folder = Path(spec)
    if not is_folder(folder):
        raise WeightsError(
            f"The weights {shortened(spec)} are not there; give 'embedded', a folder with {CONFIG} "
            f"and {TENSORS}, or hf://USER/NAME@REVISION."
        )
    return folder, None, None


def _read(folder: Path, name: str, spec: str) -> bytes:
    try:
        with (folder / name).open("rb") as file:
            data = file.read(_LIMITS[name] + 1)
    except FileNotFoundError:
        raise WeightsError(f"The weights {spec} have no {name}; {_REMEDY}") from None
    except OSError as error:
        raise WeightsError(
            f"The file {name} of the weights {spec} cannot be read ({error.strerror}); {_REMEDY}"
        ) from None
    if len(data) > _LIMITS[name]:
        raise WeightsError(
            f"The file {name} of the weights {spec} has more than {_LIMITS[name]} bytes, so it "
            f"is no network of this project; {_REMEDY}"
        )
    return data


def _parse_config(data: bytes, spec: str) -> NetworkConfig:
    try:
        values = json.loads(data)
        _check_kinds(values)
        for layer in values.get("calibrations", {}).values():
            _check_kinds(layer)  # takes the place of the fields of the same names
        return NetworkConfig(**values)
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = str(error)
    except ConfigError as error:
        reason = str(error).rstrip(".")
    raise WeightsError(
        f"The file {CONFIG} of the weights {spec} is not a config of this project ({reason}); "
        f"{_REMEDY}"
    )


def _check_kinds(values: dict[str, Any]) -> None:
    kinds = get_type_hints(NetworkConfig)
    for name in kinds.keys() & values.keys():
        if not _fits(values[name], kinds[name]):
            number = kinds[name] is float
            raise ConfigError(f"{name} is {'not a finite number' if number else _ODD}")


def _fits(value: object, kind: Any) -> bool:
    """Tell whether a value of a JSON file is what a field of this type may hold."""
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return False
    if isinstance(value, (list, dict)) and len(value) > _LONGEST_LIST:
        return False
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        if isinstance(value, list):
            return all(_fits(item, Any) for item in value)
        return isinstance(value, (bool, str)) or value is None or _fits(value, float)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is tuple:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    if kind in (int, float):
        numbers = (int,) if kind is int else (int, float)
        return type(value) in numbers and abs(value) <= _LARGEST  # type: ignore[arg-type]
    return isinstance(value, kind)


def _test(network: EmotionNet, spec: str) -> None:
    """Let a network answer once: what its config says may still lead to no numbers."""
    with torch.inference_mode():
        crops = torch.from_numpy(np.mgrid[0:2, 0:64, 0:64].sum(0).astype(np.uint8))
        logits = network(normalise(crops, network.config))
    if logits.shape[1] < len(network.config.labels) or not bool(torch.isfinite(logits).all()):
        raise WeightsError(f"The weights {spec} give answers that are not numbers; {_REMEDY}")


def _build(config: NetworkConfig, data: bytes, spec: str) -> EmotionNet:
    try:
        tensors = parse_tensors(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(
            f"The file {TENSORS} of the weights {spec} is damaged ({error}); {_REMEDY}"
        ) from None
    try:
        # A config may ask for a network of any size; on the meta device that takes no memory, and
        # the file's tensors take the place of those that match in shape.
        with torch.device("meta"):
            network = EmotionNet(config)
        network.load_state_dict(tensors, strict=True, assign=True)
        if any(tensor.is_complex() for tensor in tensors.values()):
            raise TypeError("complex numbers")
    except (RuntimeError, TypeError, ValueError, OverflowError, ConfigError) as error:
        detail = " ".join(str(error).split())[:160]
        raise WeightsError(
            f"The tensors of the weights {spec} do not fit their config ({detail}); {_REMEDY}"
        ) from None
    network.float()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise WeightsError(f"The weights {spec} hold values that are not numbers; {_REMEDY}")
    network.eval()
    _test(network, spec)
    return network
