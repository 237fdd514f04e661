"""``python -m train tensorboard``: the log of a run as TensorBoard reads it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion.errors import ConfigError, DataError
from train.scoring.history import LOG, read_history


@dataclass(frozen=True)
class Arguments:
    """Write the epochs of a run, finished or not, for TensorBoard.

    fit itself writes log.jsonl only. Repeat the command to see the epochs since. It needs the
    package: pip install tensorboard.

    Example: python -m train tensorboard --run runs/mine && tensorboard --logdir runs
    """

    run: Path
    """Folder of the run; it gets a folder 'tensorboard'."""


def run(arguments: Arguments) -> int:
    """Write every scalar of every epoch.

    Raises:
        ConfigError: if TensorBoard is not installed.
        DataError: if the run has no log, or its folder cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "TensorBoard is not installed; pip install tensorboard, or look at the learning curves "
            "of python -m train figures --log."
        ) from None
    history = read_history(arguments.run / LOG)
    folder = arguments.run / "tensorboard"
    try:
        shutil.rmtree(folder, ignore_errors=True)  # TensorBoard would add to what it holds
        with SummaryWriter(str(folder)) as writer:
            for line in history:
                for name, value in _scalars(line):
                    writer.add_scalar(name, value, line["epoch"])
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror or error}).") from None
    print(f"Wrote {len(history)} epochs; look at them with: tensorboard --logdir {arguments.run}")
    return 0


def _scalars(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of an epoch's line, by the path to it."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and key != "epoch":
            yield prefix + key, value
