"""What is checked before a run starts."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from emotion.errors import ConfigError
from train.config.fit import FitConfig, read_config

logger = logging.getLogger(__name__)


def check_claim(config: FitConfig, out: Path, *, resume: bool) -> None:
    """Check that a run may use a folder.

    Raises:
        ConfigError: if it holds another run, or one with other options is resumed.
    """
    saved = out / "fit.json"
    if not saved.exists():
        return
    if not resume:
        raise ConfigError(f"{out} already holds a run; add --resume, or choose another --out.")
    if replace(read_config(saved), machine=config.machine) != config:
        raise ConfigError(
            f"The run in {out} was started with other options; repeat those of {saved}, or "
            "choose another --out."
        )


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return where to train: on a GPU if there is one, unless the CPU is asked for.

    Raises:
        ConfigError: if a GPU is asked for and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no GPU that torch can use; leave out --device cuda.")
    cuda = torch.cuda.is_available() and wanted != "cpu"
    return torch.device("cuda" if cuda else "cpu")


def warn_of_stacking(config: FitConfig) -> None:
    """Log a warning if class imbalance is corrected in more than one place."""
    objective = config.objective
    treatments = {
        f"sampling {config.data.sampling}": config.data.sampling != "natural",
        f"class weights {objective.class_weights}": objective.class_weights != "none",
        f"logit adjustment {objective.logit_adjustment}": objective.logit_adjustment > 0,
    }
    active = [name for name, on in treatments.items() if on]
    if len(active) > 1:
        logger.warning(
            "Class imbalance is corrected more than once (%s), which overrates rare classes; "
            "choose one.",
            ", ".join(active),
        )
