"""The 8-bit model beside the weights: whose it is, and whether it is used."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from emotion.config import NetworkConfig
from emotion.engine import trial
from emotion.files import write_bytes, write_text
from emotion.graph_file import facts
from emotion.weights import INT8

if TYPE_CHECKING:
    from emotion.engine import Run
    from emotion.engine.openvino_engine import OpenVINOEngine

RECORD, STRUCTURE, CONSTANTS = INT8

_TOLD = {"convention": None}  # in place of the one that is inside a graph

_log = logging.getLogger(__name__)


class Model(NamedTuple):
    """An 8-bit model that is compiled.

    Attributes:
        run: maps crops uint8 (B, 64, 64) to outputs, the last of which are feature maps.
        mirrors: whether the mean with the mirror image is inside, as in files of earlier versions.
    """

    run: Run
    mirrors: bool


def helps() -> bool:
    """Tell whether 8-bit arithmetic is faster than float32 on this processor.

    Measured: 2.0 times with AVX2 (AMD Zen 3), 3.6 times with AVX-512 VNNI. Without either there are
    no fast instructions for it, and other architectures were not measured.
    """
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def load(
    folder: Path,
    digest: str,
    config: NetworkConfig,
    engine: OpenVINOEngine,
    stranger: Callable[[bool], nn.Module] | None = None,
    *,
    shared: bool = False,
) -> Model | None:
    """Compile the 8-bit model of a folder.

    Args:
        folder: where the weights lie.
        digest: SHA-256 of their tensor file.
        config: theirs.
        engine: compiles it.
        stranger: makes the float32 graph, with the mean with the mirror image inside or without,
            with which a model of somebody else is compared before it is parsed in this process, see
            ``emotion.engine.trial``; None for one that is trusted.
        shared: see ``emotion.engine.base.Engine.compile``.

    Returns:
        None if there is no such model, or the weights are others than it was made from; a line of
        the log says so if there is one that cannot be used.
    """
    if not (folder / RECORD).exists():
        return None
    try:
        record = json.loads((folder / RECORD).read_bytes())
        graph = {"mirror": False, **record["graph"]}  # the oldest do not name it
        mirrors = graph["mirror"] and config.mirror
        expected = facts(config, mirrors=mirrors)
        if record["weights"] != digest or {**graph, **_TOLD} != {**expected, **_TOLD}:
            raise ValueError("it was made from other weights")
        if graph != expected:
            return None  # of conventions that are told to the body, only one has a model
        files = [(folder / name).read_bytes() for name in (STRUCTURE, CONSTANTS)]
        if record["files"] != [hashlib.sha256(data).hexdigest() for data in files]:
            raise ValueError("its files do not belong together")
        if stranger is not None:
            trial.check(files[0], files[1], stranger(mirrors))
        return Model(engine.load(*files, shared=shared), mirrors)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        _log.warning("The 8-bit model in %s is not used: %s.", folder, reason.rstrip("."))
        return None


def write(
    folder: Path,
    model: tuple[bytes, bytes],
    digest: str,
    config: NetworkConfig,
    measured: dict[str, Any],
) -> None:
    """Lay an 8-bit model beside the weights; a reader never sees half of it.

    Args:
        folder: where the weights lie.
        model: contents of the ``.xml`` and the ``.bin`` file.
        digest: SHA-256 of the weights' tensor file.
        config: of the weights.
        measured: what it costs, for people; JSON values.

    Raises:
        DataError: if the folder cannot be written.
    """
    (folder / RECORD).unlink(missing_ok=True)  # what follows makes it untrue
    for name, data in zip((STRUCTURE, CONSTANTS), model, strict=True):
        write_bytes(folder / name, data)
    record = {
        "weights": digest,
        "graph": facts(config),
        "files": [hashlib.sha256(data).hexdigest() for data in model],
        "measured": measured,
    }
    write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
