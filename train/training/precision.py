"""In which precision a training computes: decided once, kept when it goes on, and said.

Only the training's forward passes may be bfloat16, and only of the network that learns. What is
asked of given weights (validation, calibration, teachers' answers, features) is float32, so that it
does not depend on the processor.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from emotion.errors import ConfigError
from train.config.fit import FitConfig, override, read_config
from train.training import distributed

logger = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Compute in a precision; layers that need float32 keep it (see torch.autocast)."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def in_hardware(device: torch.device) -> bool:
    """Tell whether a device computes in bfloat16 itself; elsewhere it is emulated, and slow.

    Processors do with AMX or AVX512_BF16. torch's own question to oneDNN says yes with any AVX-512.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def resolve(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """Return the precision that is meant: ``auto`` takes bfloat16 where hardware computes in it.

    Of several processes, each must have such hardware.
    """
    if wanted != "auto":
        return wanted
    return "bfloat16" if distributed.everywhere(in_hardware(device)) else "float32"


def settle(config: FitConfig, out: Path, device: torch.device) -> FitConfig:
    """Decide in which precision a run computes, and say it in one line.

    A run that goes on keeps its precision, emulated with a warning where the hardware lacks it,
    unless the config asks for another one.

    Args:
        config: what to train.
        out: folder of the run; a ``fit.json`` in it is that of the run that goes on.
        device: where to train.

    Returns:
        The config with ``float32`` or ``bfloat16`` in place of ``auto``.

    Raises:
        ConfigError: if bfloat16 is asked for on a GPU that has none.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # its convolutions would have three digits
    saved, wanted = out / "fit.json", config.machine.precision
    before = read_config(saved).machine.precision if saved.exists() else "auto"
    chosen = resolve(before if wanted == "auto" else wanted, device)
    emulated = chosen == "bfloat16" and not distributed.everywhere(in_hardware(device))
    if emulated and wanted == chosen and device.type == "cuda":
        raise ConfigError(
            "This GPU does not compute in bfloat16; leave out --precision bfloat16, or give "
            "--precision float32."
        )
    if not distributed.rank():
        if emulated:
            logger.warning(
                "This machine has no bfloat16, so it is emulated, which is slow; --precision "
                "float32 is faster here."
            )
        tqdm.write(f"Trains in {chosen}{_reason(wanted, before, chosen)}.")
    return override(config, precision=chosen)


def sentence(trainings: Mapping[str, Iterable[str]]) -> str:
    """Say under a table in which precision its rows were trained.

    Args:
        trainings: row -> what the logs of its runs say, nothing for a row without a finished run.
    """
    rows: dict[str, list[str]] = {}
    for name, precisions in trainings.items():
        if said := " and ".join(sorted(set(precisions))):
            rows.setdefault(said, []).append(name)
    if len(rows) < 2:
        return "".join(f"Trained in {said}." for said in rows)
    parts = [f"{said}: {', '.join(names)}" for said, names in rows.items()]
    return f"Trained in {'; in '.join(parts)}."


def _reason(wanted: str, before: str, chosen: Precision) -> str:
    if before == chosen:
        return ", as before"
    if wanted != "auto":
        return ""
    if chosen == "bfloat16":
        return ", which the hardware has; --precision float32 does without"
    return ", since the hardware has no bfloat16"
