"""Checkpoints: one folder each, complete or absent, the newest two kept."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor

from emotion.errors import DataError

logger = logging.getLogger(__name__)

_TENSORS = "state.safetensors"
_VALUES = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """State of a run.

    Attributes:
        epoch: number of finished epochs.
        tensors: every tensor of the run, by name.
        values: everything else, as JSON values.
        batch: number of finished batches of the epoch after those.
    """

    epoch: int
    tensors: dict[str, Tensor]
    values: dict[str, Any]
    batch: int = 0

    @property
    def name(self) -> str:
        """Name of its folder; names sort by progress."""
        return f"epoch-{self.epoch:04d}" + (f"-batch-{self.batch:06d}" if self.batch else "")


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that it exists completely or not at all.

    Raises:
        DataError: if the folder cannot be written (no space, no permission), or a tensor is not
            finite: no run could go on from it.
    """
    if spoilt := _not_finite(checkpoint.tensors):
        raise DataError(
            f"The training has gone wrong: {spoilt} holds values that are not numbers. Nothing was "
            "saved, and the last checkpoint is kept; lower --lr, and go on with --resume."
        )
    target = folder / checkpoint.name
    partial = folder / f".partial-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".partial-*"):
            shutil.rmtree(leftover)
        partial.mkdir()
        # safetensors' own writer has errors of its own for a full disk.
        data = pack_tensors({k: v.contiguous() for k, v in checkpoint.tensors.items()})
        (partial / _TENSORS).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        values = {
            "epoch": checkpoint.epoch,
            "batch": checkpoint.batch,
            "sha256": digest,
            "values": checkpoint.values,
        }
        (partial / _VALUES).write_text(json.dumps(values), "utf-8")
        for path in (partial / _TENSORS, partial / _VALUES, partial):
            _flush(path)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        _flush(folder)
    except OSError as error:
        raise DataError(
            f"The checkpoint {target} could not be written ({error.strerror or error}); the "
            "previous one is untouched."
        ) from None
    for old in _complete(folder)[2:]:
        shutil.rmtree(old)


def load_newest(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is undamaged, or None if there is none.

    A damaged one is reported as a warning and the one before it is tried.
    """
    for path in _complete(folder):
        try:
            return _load(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            logger.warning("%s is damaged (%s); trying the one before it.", path, error)
    return None


def _load(path: Path) -> Checkpoint:
    values = json.loads((path / _VALUES).read_text("utf-8"))
    data = (path / _TENSORS).read_bytes()
    if hashlib.sha256(data).hexdigest() != values["sha256"]:
        raise ValueError("its digest differs")
    tensors = parse_tensors(data)
    if spoilt := _not_finite(tensors):
        raise ValueError(f"{spoilt} holds values that are not numbers")
    return Checkpoint(values["epoch"], tensors, values["values"], values["batch"])


def _not_finite(tensors: dict[str, Tensor]) -> str | None:
    """Return the name of a tensor with values that are not numbers, or None."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def _complete(folder: Path) -> list[Path]:
    """List finished checkpoints, the newest first."""
    return sorted(folder.glob("epoch-*"), reverse=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten the per-parameter state of an optimiser to named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the state that ``pack_optimizer`` flattened back into an optimiser."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # The fused kernel walks parameter and state in memory order, so a channels-last
                # weight needs channels-last moments; the file holds them contiguous.
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            else:
                value = value.clone()
            state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
