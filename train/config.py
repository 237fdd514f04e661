"""What a training run is: one frozen dataclass, saved beside the weights."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emotion.errors import ConfigError


@dataclass(frozen=True)
class FitConfig:
    """Every choice of one training run.

    Attributes:
        corpora: prepared corpora to train on.
        sizes: side in px of the crops in each stage (progressive resizing; the last should be 64).
        epochs: epochs of each stage, as many numbers as ``sizes``.
        batch_size: images per step.
        lr: peak learning rate of AdamW, reached after ``warmup_epochs`` and then annealed to zero
            along a cosine over the whole run (Loshchilov and Hutter, 2017).
        last_stage_lr: where there are several stages, the last one begins at this rate and anneals
            it to zero in its own cosine: the end of the first one is too slow for a new size.
        weight_decay: decoupled decay, not applied to norm layers and biases.
        warmup_epochs: length of the linear warm-up, may be a fraction.
        ema_decay: decay per step of the averaged weights, which are the ones kept.
        label_smoothing: mass spread over all classes, 0..1.
        class_weights: ``sqrt`` weights each class by n^-1/2, ``none`` by 1.
        activation: of the network, see ``emotion.network.NetworkConfig``.
        max_pool: of the network.
        widths: of the network; narrow ones train in seconds.
        block_dropout: of the network.
        head_dropout: of the network.
        erase: probability that a rectangle of a crop is erased, 0..1.
        clip_norm: gradients are clipped to this global norm.
        seed: of initialisation, order, augmentation and dropout.
        threads: CPU threads; 0 takes all.
        compile: fuse the network with torch.compile; needs a C++ compiler.
    """

    corpora: tuple[str, ...] = ("fer2013",)
    sizes: tuple[int, ...] = (32, 40, 64)
    epochs: tuple[int, ...] = (4, 7, 2)
    batch_size: int = 64
    lr: float = 1e-3
    last_stage_lr: float = 4e-4
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    ema_decay: float = 0.999
    label_smoothing: float = 0.1
    class_weights: Literal["none", "sqrt"] = "sqrt"
    activation: Literal["relu", "silu"] = "relu"
    max_pool: bool = False
    widths: tuple[int, ...] = (64, 128, 256, 512)
    block_dropout: float = 0.1
    head_dropout: float = 0.2
    erase: float = 0.25
    clip_norm: float = 5.0
    seed: int = 1
    threads: int = 0
    compile: bool = False

    def __post_init__(self) -> None:
        # JSON has no tuples; a config that was read back must equal the one that was written.
        for name in ("corpora", "sizes", "epochs", "widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.sizes or len(self.sizes) != len(self.epochs):
            raise ConfigError("--sizes and --epochs need the same number of values, one per stage.")
        if min(self.sizes) < 16 or max(self.sizes) > 64 or min(self.epochs) < 1:
            raise ConfigError(
                "Sizes must lie between 16 and 64 px, and every stage needs an epoch."
            )
        if self.batch_size < 2 or not 0 <= self.ema_decay < 1:
            raise ConfigError("batch_size must be >= 2 and ema_decay in [0, 1).")
        if self.lr <= 0 or self.last_stage_lr <= 0:
            raise ConfigError("lr and last_stage_lr must be positive.")

    @property
    def total_epochs(self) -> int:
        """Number of epochs over all stages."""
        return sum(self.epochs)

    def size_at(self, epoch: int) -> int:
        """Return the side in px of the crops in this epoch, counted from 0."""
        for size, length in zip(self.sizes, self.epochs, strict=True):
            if epoch < length:
                return size
            epoch -= length
        return self.sizes[-1]


def to_json(config: FitConfig) -> dict[str, Any]:
    """Return the config as plain JSON values."""
    return dataclasses.asdict(config)


def read_config(path: Path) -> FitConfig:
    """Read the config that a run saved.

    Raises:
        ConfigError: if the file is missing or holds other fields than this version knows.
    """
    try:
        return FitConfig(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; is {path.parent} the folder of a run?") from None
    except (json.JSONDecodeError, TypeError) as error:
        raise ConfigError(f"{path} is not the config of a run of this version ({error}).") from None
